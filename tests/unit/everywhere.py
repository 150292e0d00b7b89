"""The scripted server in the place of every host: what is written for the router runs without it."""

from __future__ import annotations

import httpx
import pytest

from langchain_hf_inference.testing import InferenceServer


def be_everywhere(server: InferenceServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send what goes to any host but this machine to `server`."""
    target = httpx.URL(server.url)
    send, asend = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    def redirected(request: httpx.Request) -> httpx.Request:
        if request.url.host != "127.0.0.1":
            request.url = request.url.copy_with(scheme="http", host=target.host, port=target.port)
        return request

    def handle_request(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        return send(self, redirected(request))

    async def handle_async_request(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        return await asend(self, redirected(request))

    monkeypatch.setenv("HF_INFERENCE_HTTP_BACKEND", "httpx")  # a batch would take aiohttp
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle_request)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle_async_request)
