"""ChatHFInference: BaseChatModel's hooks, joined to the protocol and the transport."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from langchain_hf_inference import _transport
from langchain_hf_inference._chat_call import ChatCall, chat_call, on_retry_of, openai_tool, priced
from langchain_hf_inference._per_call import PerCallChat
from langchain_hf_inference._profiles import ProfiledModel, plain_id, providers_of
from langchain_hf_inference._protocol.chat_response import ReadOptions, read_chat_response
from langchain_hf_inference._protocol.chat_stream import ChatStreamReader
from langchain_hf_inference._protocol.credentials import Credentials
from langchain_hf_inference._protocol.dialects import dialect_of
from langchain_hf_inference._protocol.offers import ModelOffers
from langchain_hf_inference._protocol.response_format import Method
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._protocol.tools import normalised_choice, tool_names
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference._settings import SETTINGS, ChatSettings
from langchain_hf_inference._stream_events import EventStreaming
from langchain_hf_inference._token_count import TokenCounting
from langchain_hf_inference._tracing import TracedModel, identifying_params, langsmith_params


class ChatHFInference(PerCallChat, TracedModel, ProfiledModel, TokenCounting, ChatSettings, EventStreaming):
    """Chat with open models on Hugging Face: Inference Providers, Inference Endpoints, TGI, vLLM, SGLang, llama.cpp.

    Setup:
        `pip install langchain-hf-inference`, and a token in HF_TOKEN
        (https://huggingface.co/settings/tokens) unless you serve the model yourself.

    Instantiate:
        ```python
        from langchain_hf_inference import ChatHFInference

        llm = ChatHFInference(model="Qwen/Qwen3-32B", provider="fastest", temperature=0)
        local = ChatHFInference(endpoint_url="http://localhost:8080", max_tokens=256)
        ```

    Everything that the server gives arrives: text, reasoning (`additional_kwargs["reasoning_content"]`),
    tool calls, log probabilities, token counts (in streams too), and in `response_metadata` the
    model, the provider that served, the finish_reason and the request's id. Settings that an engine
    cannot take are translated, or named in a warning.

    Raises:
        ConfigurationError: At a call, before anything is sent: what was given does not go together.
        pydantic.ValidationError: At construction: a value is out of range, or of the wrong type.
        APIStatusError: The server answered with an error; see `langchain_hf_inference.errors`.
    """

    streaming: bool | None = None
    """True lets `invoke` read the answer as a stream; False keeps even `stream` from streaming."""
    stream_usage: bool = True
    """Ask streams for token counts; servers that refuse to be asked are asked again without."""
    replay_reasoning: bool = False
    """Send the reasoning of earlier answers back (gpt-oss, GLM and Kimi call tools better with it)."""
    parse_think_tags: bool | Literal["open"] = False
    """Take `<think>…</think>` in the text for reasoning. "open": the template opens the tag itself."""
    report_cost: bool = False
    """Tell in `response_metadata["cost"]` what an answer cost, by the router's prices, asked for now and then."""

    call_arguments = PerCallChat.call_arguments | {
        "streaming", "stream_usage", "replay_reasoning", "parse_think_tags", "report_cost", "cache", "disable_streaming",
        "output_version", "rate_limiter", "verbose",
    }  # fmt: skip
    call_settings = SETTINGS | {"model"}
    other_arguments = frozenset({"api", "max_concurrent_requests"})

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call, requests, credentials = self._prepared(self._call(messages, stop, kwargs, stream=False))
        response = self._transport().send(requests, credentials, on_retry_of(run_manager))
        return read_chat_response(response.json(), response.headers, call.options, requests[0])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call, requests, credentials = await self._aprepared(self._call(messages, stop, kwargs, stream=False))
        response = await self._transport().asend(requests, credentials, on_retry_of(run_manager))
        return read_chat_response(response.json(), response.headers, call.options, requests[0])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call, requests, credentials = self._prepared(self._call(messages, stop, kwargs, stream=True))
        with self._transport().stream(requests, credentials, on_retry_of(run_manager)) as events:
            reader = ChatStreamReader(events.request, events.headers, call.options)
            with reader.keeping_partial():
                for event in events:
                    for chunk in reader.read(event):
                        if run_manager:
                            run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                        yield chunk
                for chunk in reader.close(events.stray):
                    if run_manager:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call, requests, credentials = await self._aprepared(self._call(messages, stop, kwargs, stream=True))
        async with self._transport().astream(requests, credentials, on_retry_of(run_manager)) as events:
            reader = ChatStreamReader(events.request, events.headers, call.options)
            with reader.keeping_partial():
                async for event in events:
                    for chunk in reader.read(event):
                        if run_manager:
                            await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                        yield chunk
                for chunk in reader.close(events.stray):
                    if run_manager:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: dict[str, Any] | type | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in any of LangChain's forms, or none, to each call.

        Args:
            tools: BaseTools, functions, Pydantic classes, TypedDicts, JSON Schemas, OpenAI or
                Anthropic dicts.
            tool_choice: "auto", "none", "any" or "required", a tool's name, or OpenAI's dict.
            strict: Ask the server to keep arguments strictly to their schema.
            parallel_tool_calls: Allow several calls in one answer.
            response_format: A schema for the answer, in OpenAI's form or any of LangChain's.
            **kwargs: Further settings of the call.

        Raises:
            ConfigurationError: `tool_choice` names no tool, or `response_format` is no schema.
        """
        wire = [openai_tool(tool, strict=strict) for tool in tools]
        bound: dict[str, Any] = {"tools": wire} if wire else {}
        if wire and (choice := normalised_choice(tool_choice, tool_names(wire))) is not None:
            bound["tool_choice"] = choice
        if wire and parallel_tool_calls is not None:
            bound["parallel_tool_calls"] = parallel_tool_calls
        if response_format is not None:
            from langchain_hf_inference._structured_output import response_format_of

            bound["response_format"] = response_format_of(response_format, strict=strict)
        return self.bind(**bound, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Method | None = None,
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Answer with data of `schema`: an instance for a Pydantic class, a dict for any other schema.

        Args:
            schema: Pydantic class, TypedDict, JSON Schema or OpenAI tool.
            method: "json_schema" lets the server force the schema, "function_calling" asks for a tool
                call, "json_mode" for any JSON. By default what the route does best: json_schema,
                but function_calling where servers ignore schemas (transformers serve, mlx-lm) or
                where nothing is known about the server.
            include_raw: Give `{"raw", "parsed", "parsing_error"}` instead of raising on a bad answer.
            strict: Ask the server to keep strictly to the schema.
            **kwargs: Further settings of the call.

        Raises:
            ConfigurationError: The method is not known, or the schema does not go with it.
        """
        from langchain_hf_inference._structured_output import structured  # output parsers are for those who use them

        return structured(
            self,
            schema,
            method=method or self._structured_method(),
            include_raw=include_raw,
            strict=strict,
            options=kwargs,
        )

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Count the tokens of a prompt: the messages in the model's chat template, and the tools.

        Exact by `tokenizer`, or by TGI, vLLM, SGLang or llama.cpp at `endpoint_url`, which is asked;
        else an estimate, of which a warning tells, once.

        Args:
            messages: The conversation.
            tools: In any form that `bind_tools` takes.

        Raises:
            ConfigurationError: A message or tool cannot be said to this engine.
        """
        wire = [openai_tool(tool, strict=None) for tool in tools or ()]
        call = self._call(messages, None, {"tools": wire} if wire else {}, stream=False)
        return self._prompt_tokens(call)

    def _structured_method(self) -> Method:
        if self.endpoint_url is None:
            return dialect_of("router").structured_output
        return dialect_of(self.engine or "openai").structured_output

    def _call(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], *, stream: bool
    ) -> ChatCall:
        self._check_call(kwargs)
        values = self.__dict__
        own = {name: value for name in SETTINGS if (value := values[name]) is not None}
        call = chat_call(own, self.model_kwargs, kwargs, messages=messages, stop=stop, stream=stream)
        return replace(
            call,
            model=call.model or self.model,
            options=ReadOptions(self.parse_think_tags, call.settings.get("stop", ())),
            stream_usage=self.stream_usage,
            replay_reasoning=self.replay_reasoning,
        )

    def _prepared(self, call: ChatCall) -> tuple[ChatCall, list[WireRequest], Credentials]:
        routes, credentials = self._resolved(call.model, needs_engine=self._depends_on_engine(call))
        offers = None
        if self.report_cost and routes[0].place == "router":
            offers = _transport.lookups.known_offers(self._transport(), plain_id(call.model), credentials)
        return self._as_priced(call, routes, offers), self._requests(call, routes), credentials

    async def _aprepared(self, call: ChatCall) -> tuple[ChatCall, list[WireRequest], Credentials]:
        routes, credentials = await self._aresolved(call.model, needs_engine=self._depends_on_engine(call))
        offers = None
        if self.report_cost and routes[0].place == "router":
            offers = await _transport.lookups.aknown_offers(self._transport(), plain_id(call.model), credentials)
        return self._as_priced(call, routes, offers), self._requests(call, routes), credentials

    def _depends_on_engine(self, call: ChatCall) -> bool:
        return self.endpoint_url is not None and self.engine is None and call.needs_engine

    def _requests(self, call: ChatCall, routes: list[Route]) -> list[WireRequest]:
        return [call.request(route, self._route_headers(route)) for route in routes]

    def _as_priced(self, call: ChatCall, routes: list[Route], offers: ModelOffers | None) -> ChatCall:
        return priced(call, routes[0], offers, providers_of(call.model, self.provider)) if self.report_cost else call

    def _should_stream(self, **kwargs: Any) -> bool:
        # A stream carries one message; several answers come whole.
        return (kwargs.get("n") or self.n or 1) == 1 and super()._should_stream(**kwargs)

    @property
    def _llm_type(self) -> str:
        return "huggingface-inference-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return identifying_params(self, SETTINGS)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return langsmith_params(self, "chat", stop, kwargs)


# Core asks for the signatures of these on each call, which would be worked out anew.
for _hook in (ChatHFInference._generate, ChatHFInference._agenerate):
    setattr(_hook, "__signature__", inspect.signature(_hook))  # noqa: B010 - functions do not declare it
