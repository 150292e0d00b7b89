"""What the answers of text generation have in common, whichever API gave them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import Generation, GenerationChunk

from langchain_hf_inference._protocol.chat_response import header_facts
from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.lenient_json import SurrogateJoiner, parse_json, parse_whole_json
from langchain_hf_inference._protocol.partial import PartialKeeper
from langchain_hf_inference._protocol.sse import ServerSentEvent
from langchain_hf_inference._protocol.stop_text import StopCutter
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_object
from langchain_hf_inference.errors import StreamError


@dataclass(frozen=True, slots=True)
class TextOptions:
    """What the reader of an answer has to know about the request."""

    prompt: str = ""
    stop: Sequence[str] = ()
    full_text: bool = False
    """The prompt is to stand before the answer."""
    details: bool = False
    """Each token is to be told of."""


def generation_info(reason: str | None, raw: Any, prompt_tokens: Any, completion_tokens: Any) -> JSON:
    """Give `generation_info`: reason to finish, the engine's own word where it differs, token counts."""
    info: JSON = {} if reason is None else {"finish_reason": reason}
    if raw and raw != reason:
        info["native_finish_reason"] = raw
    counts = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    usage = {name: count for name, count in counts.items() if isinstance(count, int)}
    if len(usage) == len(counts):
        usage["total_tokens"] = sum(usage.values())
    return {**info, "token_usage": usage} if usage else info


def without_stop(text: str, options: TextOptions) -> tuple[str, bool]:
    """Cut a whole text at the first stop string; tell whether there was one."""
    cutter = StopCutter(options.stop)
    return cutter.feed(text) + cutter.close(), cutter.found


class TextStreamReader(PartialKeeper):
    """Reads the events of one stream: `read` each, then `close`. Keeps what has come for `partial`.

    What an event means is the business of each API's own reader.
    """

    def __init__(self, request: WireRequest, headers: Mapping[str, str], options: TextOptions) -> None:
        self._request, self._headers, self._options = request, headers, options
        self._cutter = StopCutter(options.stop)
        self._joiner = SurrogateJoiner()
        self._texts: list[str] = []

    @abstractmethod
    def _event(self, body: JSON) -> list[GenerationChunk]:
        """Give the chunks of one event."""

    @abstractmethod
    def _end(self) -> JSON | None:
        """Give the `generation_info` of the end, None where the stream has not come to one."""

    @abstractmethod
    def _whole(self, body: Any) -> Generation:
        """Read a whole answer that was sent in place of events."""

    def read(self, event: ServerSentEvent) -> list[GenerationChunk]:
        """Give the text of an event.

        Raises:
            APIStatusError: The event reports a failure before any text.
            StreamError: It does so after text, or is not JSON.
        """
        if not (data := event.data.strip()):
            return []
        if event.is_end:
            self._mark_end()
            return []
        try:
            body, _ = parse_json(data)
        except ValueError:
            if b"\n" in data:  # events between which a proxy dropped the blank line
                lines = data.split(b"\n")
                return [chunk for line in lines for chunk in self.read(ServerSentEvent(line, event.event))]
            body = None
        failure = read_stream_error(event.event, body, data, self._request)
        found = as_object(body)
        chunks = self._event(found) if found else []
        if failure:
            raise self._failure(failure)  # what came with it is in `partial`
        if not found:
            shown = data[:200].decode("utf-8", "replace")
            raise StreamError(f"an event of the stream is not JSON: {shown!r}", partial=self.partial())
        return chunks

    def close(self, stray: bytes = b"") -> list[GenerationChunk]:
        """Give what was held, and a last chunk with the reason to finish, the counts and the headers' facts.

        Raises:
            StreamError: The stream broke off before its end.
        """
        rest = self._cutter.feed(self._joiner.close()) + self._cutter.close()
        if rest:  # before `_end`, which asks whether a stop string was found
            self._texts.append(rest)
        info = self._end()
        if info is not None:
            return [GenerationChunk(text=rest, generation_info=info | header_facts(self._headers))]
        if self._texts or not stray:
            raise StreamError(
                "the stream broke off before its end; `partial` holds what came",
                partial=self.partial(),
                request_id=header_facts(self._headers).get("request_id"),
            )
        try:
            body = parse_whole_json(stray)
        except ValueError:
            shown = stray[:200].decode("utf-8", "replace")
            raise StreamError(f"the server sent no events; it sent {shown!r}") from None
        whole = self._whole(body)
        return [
            GenerationChunk(
                text=whole.text, generation_info=(whole.generation_info or {}) | header_facts(self._headers)
            )
        ]

    def partial(self) -> AIMessageChunk | None:
        """Give the text as far as it has come, as a message, None while there is nothing."""
        return AIMessageChunk(content="".join(self._texts)) if self._texts else None

    def _mark_end(self) -> None:
        """Take note of `[DONE]`."""

    def _chunk(self, text: str, info: JSON | None) -> list[GenerationChunk]:
        if text := self._cutter.feed(self._joiner.feed(text)):
            self._texts.append(text)
        return [GenerationChunk(text=text, generation_info=info or None)] if text or info else []
