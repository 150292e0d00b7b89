"""HFInferenceLLM: BaseLLM's hooks, joined to the protocol and the transport."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from functools import partial
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseLLM, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.outputs import Generation, GenerationChunk, LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.base import Runnable
from pydantic import Field

from langchain_hf_inference._chat_call import on_retry_of
from langchain_hf_inference._per_call import PerCallText
from langchain_hf_inference._settings import TEXT_SETTINGS, TextSettings
from langchain_hf_inference._task_connection import TaskConnection, TaskRoute
from langchain_hf_inference._text_call import TextCall, added, repeated, text_call
from langchain_hf_inference._token_count import TokenCounting
from langchain_hf_inference._tracing import TracedModel, identifying_params, langsmith_params
from langchain_hf_inference._transport.fan_out import afan_out, fan_out

Configs = RunnableConfig | list[RunnableConfig] | None


class HFInferenceLLM(PerCallText, TracedModel, TokenCounting, TaskConnection, TextSettings, BaseLLM):
    """Go on from a text with open models: TGI, Inference Endpoints, vLLM, SGLang, llama.cpp, transformers serve, providers.

    Instantiate:
        ```python
        from langchain_hf_inference import HFInferenceLLM

        llm = HFInferenceLLM(endpoint_url="http://localhost:8080", max_tokens=20, stop=["."])
        base = HFInferenceLLM(model="meta-llama/Llama-3.1-8B", provider="featherless-ai")
        ```

    TGI is asked by its own API, where all of its parameters live; other engines by OpenAI's
    `/v1/completions`. For models that chat use `ChatHFInference`: most do, and a plain prompt passes
    their chat template by. A batch of prompts is sent a few at a time, in order.

    Raises:
        ConfigurationError: At a call, before anything is sent: no provider serves the model for plain
            prompts, or what was given does not go together.
        APIStatusError: The server answered with an error.
    """

    api: Literal["generate", "completions", "pipeline"] | None = None
    """TGI's own API, OpenAI's, or `{"inputs", "parameters"}` posted to the URL itself (Inference Endpoints with a
    handler). By default what the server speaks."""
    streaming: bool = False
    """Let `invoke` read the answer as a stream."""
    max_concurrent_requests: int = Field(default=16, ge=1)
    """How many prompts of a batch are in work at once."""

    call_arguments = PerCallText.call_arguments | {"model", "api", "streaming", "cache", "verbose"}
    call_settings = TEXT_SETTINGS
    other_arguments = frozenset({
        "stream_usage", "replay_reasoning", "parse_think_tags", "report_cost", "disable_streaming", "output_version",
        "rate_limiter", "profile",
    })  # fmt: skip

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        calls = [self._call(prompt, stop, kwargs) for prompt in prompts]
        target = self._task_route("text-generation", form=self.api)
        act = partial(self._answered, target=target, run_manager=run_manager)
        return self._result(fan_out(act, calls, at_once=self.max_concurrent_requests), target)

    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        calls = [self._call(prompt, stop, kwargs) for prompt in prompts]
        target = await self._atask_route("text-generation", form=self.api)
        act = partial(self._aanswered, target=target, run_manager=run_manager)
        return self._result(await afan_out(act, calls, at_once=self.max_concurrent_requests), target)

    def _answered(self, call: TextCall, *, target: TaskRoute, run_manager: Any) -> list[Generation]:
        if self.streaming:
            return [added([chunk for chunk in self._chunks(call, target, run_manager)])]
        found: list[Generation] = []
        for one in repeated(call, target.form):
            request = one.request(target, self._route_headers(target.route), stream=False)
            response = self._transport().send([request], target.credentials, on_retry_of(run_manager))
            found += one.read(target, response, request)
        return found

    async def _aanswered(self, call: TextCall, *, target: TaskRoute, run_manager: Any) -> list[Generation]:
        if self.streaming:
            return [added([chunk async for chunk in self._achunks(call, target, run_manager)])]
        found: list[Generation] = []
        for one in repeated(call, target.form):
            request = one.request(target, self._route_headers(target.route), stream=False)
            response = await self._transport().asend([request], target.credentials, on_retry_of(run_manager))
            found += one.read(target, response, request)
        return found

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        call = self._call(prompt, stop, kwargs)
        target = self._task_route("text-generation", form=self.api)
        with closing(self._chunks(call, target, run_manager)) as chunks:
            for chunk in chunks:
                yield chunk

    async def _astream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        call = self._call(prompt, stop, kwargs)
        target = await self._atask_route("text-generation", form=self.api)
        async with aclosing(self._achunks(call, target, run_manager)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _chunks(self, call: TextCall, target: TaskRoute, run_manager: Any) -> Generator[GenerationChunk]:
        request = call.request(target, self._route_headers(target.route), stream=True)
        with self._transport().stream([request], target.credentials, on_retry_of(run_manager)) as events:
            reader = call.reader(target, events.request, events.headers)
            for chunk in call.opening():
                if run_manager:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
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

    async def _achunks(self, call: TextCall, target: TaskRoute, run_manager: Any) -> AsyncGenerator[GenerationChunk]:
        request = call.request(target, self._route_headers(target.route), stream=True)
        async with self._transport().astream([request], target.credentials, on_retry_of(run_manager)) as events:
            reader = call.reader(target, events.request, events.headers)
            for chunk in call.opening():
                if run_manager:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
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

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: Configs = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Answer each prompt. With `return_exceptions` a prompt that fails gives its error, and the others their text."""
        if not return_exceptions:
            return super().batch(inputs, config, **kwargs)
        # BaseLLM would make one call of them all, so that one failure would take the others' answers along.
        limited = self._limited(config, len(inputs))
        return Runnable.batch(self, inputs, limited, return_exceptions=True, **kwargs)

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: Configs = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Like `batch`."""
        if not return_exceptions:
            return await super().abatch(inputs, config, **kwargs)
        limited = self._limited(config, len(inputs))
        return await Runnable.abatch(self, inputs, limited, return_exceptions=True, **kwargs)

    def _limited(self, config: Configs, count: int) -> list[RunnableConfig]:
        configs = config if isinstance(config, list) else [config or RunnableConfig()] * count
        most = self.max_concurrent_requests
        return [{**one, "max_concurrency": one.get("max_concurrency") or most} for one in configs]

    def _call(self, prompt: str, stop: list[str] | None, kwargs: Mapping[str, Any]) -> TextCall:
        self._check_call(kwargs)
        own = {name: getattr(self, name) for name in TEXT_SETTINGS if getattr(self, name) is not None}
        return text_call(own, self.model_kwargs, kwargs, prompt=prompt, stop=stop)

    def _result(self, generations: list[list[Generation]], target: TaskRoute) -> LLMResult:
        usage: dict[str, int] = {}
        for found in generations:
            for generation in found:
                for name, count in ((generation.generation_info or {}).get("token_usage") or {}).items():
                    usage[name] = usage.get(name, 0) + count
        names = [(g.generation_info or {}).get("model_name") for found in generations for g in found]
        model = next(filter(None, names), target.route.model)
        return LLMResult(
            generations=[list(f) for f in generations], llm_output={"token_usage": usage, "model_name": model}
        )

    @property
    def _llm_type(self) -> str:
        return "huggingface-inference"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return identifying_params(self, {"api", *TEXT_SETTINGS})

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return langsmith_params(self, "llm", stop, kwargs)
