"""What the readers of streams have in common: what has come so far goes with the error that ends a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from langchain_core.messages import AIMessageChunk

from langchain_hf_inference._protocol.chat_response import header_facts
from langchain_hf_inference.errors import APIStatusError, APITimeoutError, HFInferenceError, StreamError


class PartialKeeper(ABC):
    """A reader of a stream that can tell what has come so far."""

    _headers: Mapping[str, str]

    @abstractmethod
    def partial(self) -> AIMessageChunk | None:
        """Give the message as far as it has come, None while there is nothing."""

    @contextmanager
    def keeping_partial(self) -> Iterator[None]:
        """Give errors of the transport what has come so far, as `partial`."""
        try:
            yield
        except (StreamError, APITimeoutError) as error:
            error.partial = error.partial or self.partial()
            raise

    def _failure(self, failure: APIStatusError) -> HFInferenceError:
        """Give the error for a failure that the stream reports."""
        if (partial := self.partial()) is None:
            return failure  # as if the status had said it
        error = StreamError(
            f"the server reported a failure in the middle of its answer: {failure.message}",
            partial=partial,
            status_code=failure.status_code,
            body=failure.body,
            request_id=header_facts(self._headers).get("request_id"),
        )
        error.__cause__ = failure
        return error
