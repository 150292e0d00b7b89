"""BatchJob: the lines of a file through a model, as many at once as the server takes.

BatchJob(endpoint_url="http://localhost:8000", max_concurrency=64).run("in.jsonl", "out.jsonl")
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr

from langchain_hf_inference._connection import HFConnection
from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.retry import RetryPolicy
from langchain_hf_inference._protocol.routing import task_url
from langchain_hf_inference._protocol.wire import WireRequest, WireResponse
from langchain_hf_inference._transport import lookups
from langchain_hf_inference._transport.cache import TransportCache
from langchain_hf_inference._transport.client_builders import HTTPBackend, http_backend
from langchain_hf_inference._transport.http import HTTPTransport
from langchain_hf_inference.batch.journal import Journal
from langchain_hf_inference.batch.lines import (
    BatchLine,
    LineError,
    answer_row,
    error_row,
    is_overload,
    read_line,
    tokens_of,
)
from langchain_hf_inference.batch.progress import OnProgress
from langchain_hf_inference.batch.run import BatchSummary, Outcome, Run, Slots
from langchain_hf_inference.errors import ConfigurationError, HFInferenceError, ResponseFormatError


class BatchJob(HFConnection):
    """Send each line of a file, in OpenAI's batch format or as actions, and keep each answer or failure.

    Where to, and as whom, is said as for the models; a body may name its own model. `timeout` holds for each
    request. `model_kwargs` are put under each body.

    Raises:
        ConfigurationError: At `run`: the files do not go together, or nothing says where to send the lines.
    """

    action: str | None = None
    """What the lines are, where they say neither "action" nor "body": chat_completion, embeddings,
    text_classification or text_to_image."""
    max_concurrency: int = Field(default=64, ge=1)
    """The most requests in flight. Fewer are, while the server answers 429 or 503."""
    max_attempts: int = Field(default=8, ge=1)
    """How often a line is sent at most; only what may succeed, and cannot have produced output, is sent again."""
    max_retry_wait: float = Field(default=300.0, gt=0)
    """The longest wait, in seconds, that a server may ask for."""

    _once: TransportCache = PrivateAttr(default_factory=TransportCache)

    def run(
        self,
        source: str | Path,
        output: str | Path,
        errors: str | Path | None = None,
        *,
        retry_errors: bool = False,
        overwrite: bool = False,
        on_progress: OnProgress | None = None,
    ) -> BatchSummary:
        """Do the lines of `source` that are not done, until all are; Ctrl-C lets what is in flight come in, and stops.

        Args:
            source: JSONL, a request or an action a line.
            output: JSONL, an answer a line, in the order in which they come; it is gone on with where it is there.
            errors: JSONL, a failure a line; `<output>.errors.jsonl` by default.
            retry_errors: Do the lines again that failed in an earlier run.
            overwrite: Begin anew.
            on_progress: Called four times a second.
        """
        return asyncio.run(
            self.arun(source, output, errors, retry_errors=retry_errors, overwrite=overwrite, on_progress=on_progress)
        )

    async def arun(
        self,
        source: str | Path,
        output: str | Path,
        errors: str | Path | None = None,
        *,
        retry_errors: bool = False,
        overwrite: bool = False,
        on_progress: OnProgress | None = None,
    ) -> BatchSummary:
        """Like `run`."""
        target = Path(output)
        failures = Path(errors) if errors is not None else target.with_name(target.name + ".errors.jsonl")
        with Journal(Path(source), target, failures, retry_errors=retry_errors, overwrite=overwrite) as journal:
            return await Run(self.outcome, self.max_concurrency, journal, on_progress).run()

    async def outcome(self, raw: bytes | str, number: int, slots: Slots) -> Outcome:
        """Do one line, trying again where that may help; never raises for what a line or a server does."""
        try:
            line = read_line(raw, number, action=self.action, defaults=self._defaults())
        except LineError as error:
            return Outcome(error_row(number, error.custom_id, error, attempts=0), is_ok=False)
        policy = RetryPolicy(max_retries=self.max_attempts - 1, longest_s=self.max_retry_wait)
        attempt = 0
        while True:
            attempt += 1
            slot = await slots.acquire()
            try:
                body, response = await self._answered(line)
            except HFInferenceError as error:
                delay_s = policy.delay_s(error, attempt, random_fraction=random.random())  # noqa: S311 - no secret
                overloaded = is_overload(error)
                wait_s = delay_s if overloaded and delay_s is not None else 0.0
                await slots.release(slot, overloaded=overloaded, wait_s=wait_s, ok=False)
                if delay_s is None:
                    sent = 0 if isinstance(error, ConfigurationError) else attempt
                    row = error_row(number, line.custom_id, error, attempts=sent)
                    return Outcome(row, is_ok=False, retries=attempt - 1)
                if not overloaded:
                    await slots.rest(delay_s)
            except BaseException:
                await slots.release(slot, ok=False)
                raise
            else:
                await slots.release(slot)
                status = response.status_code if response else 200
                request_id = response.headers.get("x-request-id") if response else None
                row = answer_row(number, line.custom_id, body, status=status, request_id=request_id)
                return Outcome(row, is_ok=True, tokens=tokens_of(body), retries=attempt - 1)

    async def _answered(self, line: BatchLine) -> tuple[Any, WireResponse | None]:
        if line.action is not None:
            try:
                return await line.action.arun(**self._options()), None
            except HFInferenceError:
                raise
            except ValueError as error:
                raise ConfigurationError(str(error)) from error
        requests, credentials = await self._asked(line)
        response = await self._transport_once().asend(requests, credentials)
        body = response.json()
        if not isinstance(body, dict):
            raise ResponseFormatError("the server answered with no JSON object", body=str(body)[:500])
        if failure := read_stream_error("", body, b"", requests[-1]):
            raise failure
        return body, response

    async def _asked(self, line: BatchLine) -> tuple[list[WireRequest], Any]:
        body = {**self.model_kwargs, **(line.body or {})}
        named = body.pop("model", None) or self.model
        if line.path == "/chat/completions":
            routes, credentials = await self._aresolved(named, needs_engine=False)
            return [WireRequest(r.url, {**({"model": r.model} if r.model else {}), **body}, self._route_headers(r), model=r.model)
                    for r in routes], credentials  # fmt: skip
        if self.endpoint_url is None:
            raise ConfigurationError(
                f"the Hugging Face router has no /v1{line.path}; give an endpoint_url, or write the line as an action"
            )
        credentials = await self._acredentials(named)
        if named is None:
            named = (await lookups.aserver_facts(self._transport(), self.endpoint_url, credentials)).model
        url = task_url(self.endpoint_url, line.path or "")
        return [WireRequest(url, {**({"model": named} if named else {}), **body}, model=named)], credentials

    def _transport_once(self) -> HTTPTransport:
        """Give the transport that does not try again: that is decided here, for all lines together."""
        if self._once.transport is None:
            policy = RetryPolicy(max_retries=0)
            self._once.transport = HTTPTransport(
                self._timeouts(), policy, self.http_client, self.http_async_client, self._async_backend()
            )
        return self._once.transport

    def _async_backend(self) -> HTTPBackend:
        """Return aiohttp where it is installed and nobody has chosen: it costs less with many requests in flight."""
        return http_backend(self.http_backend, prefer_aiohttp=True)

    def _options(self) -> dict[str, Any]:
        """Give actions the job's connection; they do not try again by themselves."""
        names = ("api_key", "bill_to", "timeout", "default_headers", "http_client", "http_async_client")
        given = {name: getattr(self, name) for name in names}
        given["http_backend"] = self._async_backend()
        return {"max_retries": 0, **{name: value for name, value in given.items() if value not in (None, {})}}

    def _defaults(self) -> dict[str, Any]:
        return {"model": self.model, "provider": self.provider, "endpoint_url": self.endpoint_url}
