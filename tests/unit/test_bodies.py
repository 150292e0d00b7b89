"""_transport/bodies.py: the body of an answer, packed or not, read before or not."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest
from rawserver import raw_server

from conftest import COMPLETION
from langchain_hf_inference import ChatHFInference, ResponseFormatError
from langchain_hf_inference._transport import bodies
from langchain_hf_inference.testing import InferenceServer


@pytest.mark.parametrize("form", ["invoke", "stream"])
def test_hooks_of_a_client(form: str, server: InferenceServer) -> None:
    """An event hook of the user's own client may read the answer first; the model reads it all the same."""
    seen: list[str] = []

    def received(response: httpx.Response) -> None:
        response.read()
        seen.append(response.text)

    with httpx.Client(event_hooks={"response": [received]}) as client:
        model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai", http_client=client)
        text = (
            model.invoke("Hello").text if form == "invoke" else "".join(chunk.text for chunk in model.stream("Hello"))
        )
    assert text == "You said: Hello"
    assert len(seen) == 1


async def test_packed_answers() -> None:
    """Answers packed by gzip are unpacked, whole and as streams, sync and async."""
    whole = gzip.compress(json.dumps(COMPLETION).encode())
    event = gzip.compress(
        b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
    with raw_server() as server:
        server.act = server.replying(*[head % (len(one), one) for one in (whole, event, whole, event)])
        model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai")
        assert model.invoke("Hello").text == "Hi"
        assert "".join(chunk.text for chunk in model.stream("Hello")) == "Hi"
        assert (await model.ainvoke("Hello")).text == "Hi"
        assert "".join([chunk.text async for chunk in model.astream("Hello")]) == "Hi"
    assert b"accept-encoding: gzip" in server.requests[0].lower()


async def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that unpacks to more than anyone asked for is left before it is whole in memory."""
    monkeypatch.setattr(bodies, "MAX_ANSWER_BYTES", 1 << 20)
    bomb = gzip.compress(b" " * (64 << 20))
    with raw_server() as server:
        server.act = server.replying(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(bomb), bomb)
        )
        model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai")
        with pytest.raises(ResponseFormatError, match="larger than 1 MiB"):
            model.invoke("Hello")
        with pytest.raises(ResponseFormatError, match="larger than 1 MiB"):
            await model.ainvoke("Hello")
    assert server.connections == 2
