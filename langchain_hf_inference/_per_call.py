"""Arguments of the constructor, passed to a call: honoured for that call, or refused by name.

They are taken out before LangChain sees the call: it copies all that is left into `invocation_params`, which tracers and
caches keep, and into the request. A call that sets some goes to a copy of the model that has them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableConfig

from langchain_hf_inference._connection import HFConnection
from langchain_hf_inference.errors import ConfigurationError


class PerCall(HFConnection):
    """A Runnable whose calls may set some of its constructor's arguments."""

    if not TYPE_CHECKING:  # type checkers see LangChain's own, which names what is bound

        def bind(self, **kwargs: Any) -> Any:
            """Bind arguments to each call. Those of the constructor make a copy of the model, which is bound instead.

            Raises:
                ConfigurationError: An argument belongs to the model, and cannot be set for a call.
            """
            from langchain_hf_inference._binding import (
                HFBinding,  # one more class of LangChain's kind takes a millisecond
            )

            model, rest = self._for_call(kwargs)
            return HFBinding(bound=cast("Any", model), kwargs=rest, config={})


class PerCallChat(PerCall):
    """The entry points of a chat model. Raise `ConfigurationError` for an argument that a call cannot set."""

    def generate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Any = None,
        *,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        run_name: str | None = None,
        run_id: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Answer several conversations."""
        model, rest = self._for_call(kwargs)
        above = cast("Any", super(PerCallChat, model))
        return cast(
            "LLMResult",
            above.generate(
                messages, stop, callbacks, tags=tags, metadata=metadata, run_name=run_name, run_id=run_id, **rest
            ),
        )

    async def agenerate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Any = None,
        *,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        run_name: str | None = None,
        run_id: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Like `generate`."""
        model, rest = self._for_call(kwargs)
        above = cast("Any", super(PerCallChat, model))
        return cast(
            "LLMResult",
            await above.agenerate(
                messages, stop, callbacks, tags=tags, metadata=metadata, run_name=run_name, run_id=run_id, **rest
            ),
        )

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Stream an answer."""
        model, rest = self._for_call(kwargs)
        above = cast("Any", super(PerCallChat, model))
        return above.stream(input, config, stop=stop, **rest)  # type: ignore[no-any-return]

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Like `stream`."""
        model, rest = self._for_call(kwargs)
        above = cast("Any", super(PerCallChat, model))
        return above.astream(input, config, stop=stop, **rest)  # type: ignore[no-any-return]

    if not TYPE_CHECKING:  # they are overloaded by version

        def stream_events(
            self,
            input: LanguageModelInput,  # noqa: A002
            config: RunnableConfig | None = None,
            *,
            version: Literal["v1", "v2", "v3"] = "v2",
            **kwargs: Any,
        ) -> Any:
            """Stream the events of a call."""
            kept = {name: kwargs.pop(name) for name in tuple(kwargs) if name in _EVENT_FILTERS}
            model, rest = self._for_call(kwargs)
            above = cast("Any", super(PerCallChat, model))
            return above.stream_events(input, config, version=version, **kept, **rest)

        def astream_events(
            self,
            input: LanguageModelInput,  # noqa: A002
            config: RunnableConfig | None = None,
            *,
            version: Literal["v1", "v2", "v3"] = "v2",
            **kwargs: Any,
        ) -> Any:
            """Like `stream_events`."""
            kept = {name: kwargs.pop(name) for name in tuple(kwargs) if name in _EVENT_FILTERS}
            model, rest = self._for_call(kwargs)
            above = cast("Any", super(PerCallChat, model))
            return above.astream_events(input, config, version=version, **kept, **rest)


_EVENT_FILTERS = frozenset(f"{kind}_{what}" for kind in ("include", "exclude") for what in ("names", "types", "tags"))


class PerCallText(PerCall):
    """The entry points of a text model. Raise `ConfigurationError` for an argument that a call cannot set."""

    def generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        callbacks: Any = None,
        *,
        tags: Any = None,
        metadata: Any = None,
        run_name: Any = None,
        run_id: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Go on from several prompts."""
        model, rest = self._for_call(kwargs)
        above = cast("Any", super(PerCallText, model))
        return cast(
            "LLMResult",
            above.generate(
                prompts, stop, callbacks, tags=tags, metadata=metadata, run_name=run_name, run_id=run_id, **rest
            ),
        )

    async def agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        callbacks: Any = None,
        *,
        tags: Any = None,
        metadata: Any = None,
        run_name: Any = None,
        run_id: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Like `generate`."""
        model, rest = self._for_call(kwargs)
        above = cast("Any", super(PerCallText, model))
        return cast(
            "LLMResult",
            await above.agenerate(
                prompts, stop, callbacks, tags=tags, metadata=metadata, run_name=run_name, run_id=run_id, **rest
            ),
        )

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[str]:
        """Stream a text."""
        model, rest = self._for_call(kwargs)
        above = cast("Any", super(PerCallText, model))
        return above.stream(input, config, stop=stop, **rest)  # type: ignore[no-any-return]

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[str]:
        """Like `stream`."""
        model, rest = self._for_call(kwargs)
        above = cast("Any", super(PerCallText, model))
        return above.astream(input, config, stop=stop, **rest)  # type: ignore[no-any-return]


class PerCallTask(PerCall):
    """A Runnable for another task than chat: a call may set all settings of the answer."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Let calls set the model and all fields of the class's own."""
        super().__pydantic_init_subclass__(**kwargs)
        own = {name for name in cls.__annotations__ if name in cls.model_fields}
        cls.call_arguments = cls.call_arguments | own | {"model", "model_kwargs"}

    def _for_task(self, kwargs: dict[str, Any]) -> Self:
        """Return the model for a call that takes no other arguments than the constructor's.

        Raises:
            ConfigurationError: An argument is not known, or cannot be set for a call.
        """
        model, rest = self._for_call(kwargs)
        if rest:
            known = ", ".join(sorted(self.call_arguments))
            raise ConfigurationError(f"{sorted(rest)[0]} is not an argument of a call; a call takes {known}")
        return model
