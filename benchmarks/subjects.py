"""Who is measured. A subject makes models for a base URL (`http://host:port/m/<mode>`): `chat`, and `llm` and `embedder`
where it has any. All have LangChain's four methods; clients that are no part of LangChain are dressed so in clients.py.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

os.environ.setdefault("OPENAI_API_KEY", "k")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.pop("HF_TOKEN", None)


class Ours:
    """ChatHFInference, HFInferenceLLM, HFInferenceEmbeddings."""

    def chat(self, url: str) -> Any:
        from langchain_hf_inference import ChatHFInference

        return ChatHFInference(endpoint_url=url, model="org/name", engine="openai", api_key="k")

    def llm(self, url: str) -> Any:
        from langchain_hf_inference import HFInferenceLLM

        return HFInferenceLLM(endpoint_url=url, engine="tgi", api_key="k")

    def tei(self, url: str) -> Any:
        from langchain_hf_inference import HFInferenceEmbeddings

        return HFInferenceEmbeddings(endpoint_url=url, model="org/name", engine="tei", api_key="k", batch_size=32)

    def embedder(self, url: str) -> Any:
        from langchain_hf_inference import HFInferenceEmbeddings

        return HFInferenceEmbeddings(endpoint_url=url, model="org/name", engine="openai", api_key="k")


class OursAiohttp(Ours):
    """Ours with the aiohttp backend, asynchronous calls only."""

    def chat(self, url: str) -> Any:
        from langchain_hf_inference import ChatHFInference

        return ChatHFInference(endpoint_url=url, model="org/name", engine="openai", api_key="k", http_backend="aiohttp")


class HuggingFace:
    """langchain-huggingface."""

    def chat(self, url: str) -> Any:
        from langchain_huggingface import ChatHuggingFace

        return ChatHuggingFace(llm=self.llm(url), stream_usage=True)

    def llm(self, url: str) -> Any:
        from langchain_huggingface import HuggingFaceEndpoint

        return HuggingFaceEndpoint(endpoint_url=url)

    def embedder(self, url: str) -> Any:
        from huggingface_hub import AsyncInferenceClient, InferenceClient
        from langchain_huggingface import HuggingFaceEndpointEmbeddings

        made = HuggingFaceEndpointEmbeddings(model="org/name", huggingfacehub_api_token="hf_k")
        made.client, made.async_client = InferenceClient(model=url), AsyncInferenceClient(model=url)
        return made

    tei = embedder


class OpenAI:
    """langchain-openai."""

    def chat(self, url: str) -> Any:
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(base_url=url + "/v1", api_key="k", model="org/name", stream_usage=True)

    def embedder(self, url: str) -> Any:
        from langchain_openai import OpenAIEmbeddings

        return OpenAIEmbeddings(base_url=url + "/v1", api_key="k", model="org/name", check_embedding_ctx_length=False)


class Groq:
    """langchain-groq."""

    def chat(self, url: str) -> Any:
        from langchain_groq import ChatGroq

        return ChatGroq(base_url=url + "/v1", api_key="k", model="org/name")


class Floor:
    """BaseChatModel over the same bytes, from memory, parsed by orjson and the ordinary constructors: no I/O."""

    def chat(self, url: str) -> Any:
        from langchain_core.language_models import BaseChatModel
        from langchain_core.outputs import ChatResult

        kind, count, _ = url.rsplit("/", 1)[1].split("-")
        answer, pieces = floor_answer(kind, int(count)), floor_pieces(kind, int(count))

        class FloorModel(BaseChatModel):
            @property
            def _llm_type(self) -> str:
                return "floor"

            def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
                return answer()

            async def _agenerate(
                self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
            ) -> ChatResult:
                return answer()

            def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
                yield from pieces()

            async def _astream(
                self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
            ) -> AsyncIterator[Any]:
                for piece in pieces():
                    yield piece

            def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
                return self.bind(tools=tools, **kwargs)

        return FloorModel()


def floor_answer(kind: str, count: int) -> Any:
    """Give a function that reads a whole answer."""
    import orjson
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from server import whole

    content = whole(kind, count).split(b"\r\n\r\n", 1)[1]

    def read() -> ChatResult:
        text = orjson.loads(content)["choices"][0]["message"]["content"]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])

    return read


def floor_pieces(kind: str, count: int) -> Any:
    """Give a function that reads a stream."""
    import orjson
    from langchain_core.messages import AIMessageChunk
    from langchain_core.outputs import ChatGenerationChunk
    from server import events

    lines = events(kind, count)[:-1]

    def piece(line: bytes) -> ChatGenerationChunk:
        row = orjson.loads(line[6:-2])
        if not row["choices"]:
            usage = row["usage"]
            counts = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"],
                      "total_tokens": usage["total_tokens"]}  # fmt: skip
            return ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=counts))
        delta = row["choices"][0]["delta"]
        calls = [{"name": c["function"].get("name"), "args": c["function"]["arguments"], "id": c.get("id"),
                  "index": c["index"], "type": "tool_call_chunk"} for c in delta.get("tool_calls") or ()]  # fmt: skip
        thought = delta.get("reasoning_content")
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content=delta.get("content") or "",
                tool_call_chunks=calls,
                additional_kwargs={"reasoning_content": thought} if thought else {},
            )
        )

    return lambda: (piece(line) for line in lines)


def subject(name: str) -> Any:
    """Give a subject by the name it has in tables."""
    own = {"floor": Floor, "ours": Ours, "ours, aiohttp": OursAiohttp,
           "ChatHuggingFace": HuggingFace, "ChatOpenAI": OpenAI, "ChatGroq": Groq}  # fmt: skip
    if name in own:
        return own[name]()
    import clients

    return clients.CLIENTS[name]()
