"""The same code with langchain_huggingface and with our compat, on a recording server: a table of what was sent.

    make test-peers

Every difference must be explained in WHY; one that is not fails the run.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import langchain_huggingface as theirs
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel

from langchain_hf_inference import compat as ours
from langchain_hf_inference._transport.lookups import forget_lookups

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from loopback import COMPLETION, TGI_INFO, Loopback, events, message

TOKEN = "hf_token"
MODEL = {"id": "org/name", "pipeline_tag": "feature-extraction", "tags": [], "inferenceProviderMapping": {
    "novita": {"providerId": "novita/name", "status": "live", "task": "conversational"},
    "featherless-ai": {"providerId": "name", "status": "live", "task": "text-generation"},
    "hf-inference": {"providerId": "org/name", "status": "live", "task": "feature-extraction"}}}  # fmt: skip
TEI_INFO = {"model_id": "org/e", "model_type": {"embedding": {}}, "max_client_batch_size": 32}
CALLS = [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def sub(a: int, b: int) -> int:
    """Take away."""
    return a - b


def answer(method: str, path: str, body: Any) -> Any:
    """Play the router, the Hub, TGI, vLLM's chat API and TEI, strict where they are."""
    if method == "GET":
        if path.startswith("/api/models/"):
            return MODEL
        return {"/info": TGI_INFO, "/tei/info": TEI_INFO}.get(path)
    if "inputs" in body:
        if "embed" in path or isinstance(body["inputs"], list) or "feature-extraction" in path:
            return [[0.5, 1.0]] * len(body["inputs"])
        if body.get("stream") or path == "/generate_stream":
            return tgi_stream()
        whole = {"generated_text": "Hi", "details": {"finish_reason": "stop", "generated_tokens": 1}}
        return [whole] if path == "/" else whole
    if "prompt" in body:
        return {"id": "c", "model": "m", "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}]}
    if body.get("stream"):
        asked = body.get("stream_options", {}).get("include_usage")
        return events({"content": "Hi"}, usage=COMPLETION["usage"] if asked else None)
    if body.get("tools"):
        return message(content=None, tool_calls=CALLS)
    if body.get("response_format"):
        return message(content='{"name": "Ann", "age": 3}')
    return COMPLETION


def tgi_stream() -> bytes:
    rows = [{"index": 1, "token": {"id": 1, "text": "Hi", "logprob": 0.0, "special": False}, "generated_text": None, "details": None},
            {"index": 2, "token": {"id": 2, "text": "!", "logprob": 0.0, "special": False}, "generated_text": "Hi!",
             "details": {"finish_reason": "length", "generated_tokens": 2, "input_length": 1, "seed": None}}]  # fmt: skip
    return "".join(f"data: {json.dumps(row)}\n\n" for row in rows).encode()


def router(m: Any, /, endpoint: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    return m.ChatHuggingFace(
        llm=m.HuggingFaceEndpoint(repo_id="org/name", huggingfacehub_api_token=TOKEN, **(endpoint or {})), **kwargs
    )


def text(m: Any, url: str, **kwargs: Any) -> Any:
    return m.HuggingFaceEndpoint(endpoint_url=url, **kwargs)


TALK = [SystemMessage("Be brief."), HumanMessage("Add"), AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": "c1"}]),
        ToolMessage("3", tool_call_id="c1")]  # fmt: skip
PICTURE = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]
STANDARD = [{"type": "text", "text": "What?"}, {"type": "image", "base64": "QUJD", "mime_type": "image/png"}]

SHAPES: dict[str, Callable[[Any, str], Any]] = {
    "chat": lambda m, u: router(m).invoke("Hello"),
    "chat, async": lambda m, u: asyncio.run(router(m).ainvoke("Hello")),
    "chat, streamed": lambda m, u: list(router(m).stream("Hello")),
    "chat, streamed, stream_usage": lambda m, u: list(router(m, stream_usage=True).stream("Hello")),
    "chat, batch of 2": lambda m, u: router(m).batch(["Hello", "Hello"], config={"max_concurrency": 1}),
    "system, tools' history": lambda m, u: router(m).invoke(TALK),
    "message with a name": lambda m, u: router(m).invoke([HumanMessage("Hello", name="ann")]),
    "picture, OpenAI's form": lambda m, u: router(m).invoke([HumanMessage(PICTURE)]),
    "picture, LangChain's form": lambda m, u: router(m).invoke([HumanMessage(STANDARD)]),
    "endpoint: temperature=0.1": lambda m, u: router(m, {"temperature": 0.1}).invoke("Hello"),
    "endpoint: temperature=0": lambda m, u: router(m, {"temperature": 0.0}).invoke("Hello"),
    "chat: temperature=0": lambda m, u: router(m, temperature=0).invoke("Hello"),
    "endpoint: max_new_tokens=7": lambda m, u: router(m, {"max_new_tokens": 7}).invoke("Hello"),
    "chat: max_tokens=7": lambda m, u: router(m, max_tokens=7).invoke("Hello"),
    "chat: max_tokens=None": lambda m, u: router(m, max_tokens=None).invoke("Hello"),
    "endpoint: max_length=7": lambda m, u: router(m, {"max_length": 7}).invoke("Hello"),
    "endpoint: top_p=0.5": lambda m, u: router(m, {"top_p": 0.5}).invoke("Hello"),
    "endpoint: top_k=5": lambda m, u: router(m, {"top_k": 5}).invoke("Hello"),
    "endpoint: repetition_penalty=1.1": lambda m, u: router(m, {"repetition_penalty": 1.1}).invoke("Hello"),
    "endpoint: seed=0": lambda m, u: router(m, {"seed": 0}).invoke("Hello"),
    "endpoint: do_sample=False": lambda m, u: router(m, {"do_sample": False}).invoke("Hello"),
    "endpoint: stop_sequences": lambda m, u: router(m, {"stop_sequences": ["x"]}).invoke("Hello"),
    "endpoint: model_kwargs": lambda m, u: router(m, {"model_kwargs": {"seed": 3}}).invoke("Hello"),
    "endpoint: server_kwargs": lambda m, u: router(m, {"server_kwargs": {"bill_to": "org"}}).invoke("Hello"),
    "endpoint: provider": lambda m, u: router(m, {"provider": "novita"}).invoke("Hello"),
    "chat: top_p, seed, penalties": lambda m, u: router(m, top_p=0.5, seed=1, presence_penalty=0.5, frequency_penalty=0.5).invoke("Hello"),
    "chat: logprobs": lambda m, u: router(m, logprobs=True, top_logprobs=2).invoke("Hello"),
    "chat: stop": lambda m, u: router(m, stop=["x"]).invoke("Hello"),
    "chat: n=2": lambda m, u: router(m, n=2).invoke("Hello"),
    "chat: api_key, timeout, a slip": lambda m, u: router(m, timeout=5, temprature=0.1).invoke("Hello"),
    "call: top_p": lambda m, u: router(m).invoke("Hello", top_p=0.5),
    "call: top_k": lambda m, u: router(m).invoke("Hello", top_k=5),
    "call: stop": lambda m, u: router(m).invoke("Hello", stop=["x"]),
    "call: model": lambda m, u: router(m).invoke("Hello", model="org/other"),
    "call: temperature=0": lambda m, u: router(m).invoke("Hello", temperature=0),
    "bind_tools": lambda m, u: router(m).bind_tools([add]).invoke("Add"),
    "bind_tools, a tool by name": lambda m, u: router(m).bind_tools([add], tool_choice="add").invoke("Add"),
    "bind_tools, any of one": lambda m, u: router(m).bind_tools([add], tool_choice="any").invoke("Add"),
    "bind_tools, any of two": lambda m, u: router(m).bind_tools([add, sub], tool_choice="any").invoke("Add"),
    "bind_tools, parallel_tool_calls": lambda m, u: router(m).bind_tools([add], parallel_tool_calls=False).invoke("Add"),
    "structured: Pydantic": lambda m, u: router(m).with_structured_output(Person).invoke("Who?"),
    "structured: Pydantic, json_schema": lambda m, u: router(m).with_structured_output(Person, method="json_schema").invoke("Who?"),
    "structured: schema, function_calling": lambda m, u: router(m).with_structured_output(Person.model_json_schema(), method="function_calling").invoke("Who?"),
    "from_model_id": lambda m, u: m.ChatHuggingFace.from_model_id("org/name", task="text-generation", backend="endpoint", huggingfacehub_api_token=TOKEN).invoke("Hello"),
    "chat at a URL": lambda m, u: m.ChatHuggingFace(llm=text(m, u)).invoke("Hello"),
    "chat at a URL, token": lambda m, u: m.ChatHuggingFace(llm=text(m, u, huggingfacehub_api_token=TOKEN)).invoke("Hello"),
    "text at a URL": lambda m, u: text(m, u).invoke("Hello"),
    "text at a URL, async": lambda m, u: asyncio.run(text(m, u).ainvoke("Hello")),
    "text at a URL, streamed": lambda m, u: list(text(m, u).stream("Hello")),
    "text: every setting": lambda m, u: text(m, u, max_new_tokens=5, temperature=0.5, top_k=3, top_p=0.9, typical_p=0.9, repetition_penalty=1.1, seed=1, stop_sequences=["x"], truncate=9, watermark=True, do_sample=True).invoke("Hello"),
    "text: temperature=0": lambda m, u: text(m, u, temperature=0.0).invoke("Hello"),
    "text: do_sample=False": lambda m, u: text(m, u, do_sample=False).invoke("Hello"),
    "text: stop of the call": lambda m, u: text(m, u, stop_sequences=["x"]).invoke("Hello", stop=["y"]),
    "text: streaming=True": lambda m, u: text(m, u, streaming=True, stop_sequences=["x"]).invoke("Hello"),
    "text by a provider": lambda m, u: m.HuggingFaceEndpoint(repo_id="org/name", provider="featherless-ai", huggingfacehub_api_token=TOKEN).invoke("Hello"),
    "embeddings": lambda m, u: m.HuggingFaceEndpointEmbeddings(model="org/name", huggingfacehub_api_token=TOKEN, provider="hf-inference").embed_documents(["a", "b\nc"]),
    "embeddings at a URL": lambda m, u: m.HuggingFaceEndpointEmbeddings(model=u + "/tei").embed_query("a"),
}  # fmt: skip

NATIVE = "ours speaks TGI's own path, asks for details (finish_reason, counts), and sends nothing that asks for nothing"
WHY = {
    "chat, streamed": "token counts are asked for",
    "chat, streamed, stream_usage": "one piece less: the last bears the usage",
    "message with a name": "they drop it",
    "picture, LangChain's form": "they send LangChain's block, which no server knows",
    "endpoint: temperature=0": "they drop 0",
    "chat: temperature=0": "they put the endpoint's default over 0",
    "chat: max_tokens=None": "they put the endpoint's default over None",
    "endpoint: max_length=7": "transformers' old name, in many tutorials",
    "endpoint: top_p=0.5": "they drop it",
    "endpoint: top_k=5": "they drop it",
    "endpoint: repetition_penalty=1.1": "they take it for frequency_penalty, and drop that",
    "endpoint: seed=0": "they drop it",
    "endpoint: do_sample=False": "greedy, as it says; they sample at 0.8",
    "endpoint: model_kwargs": "a setting may stand there too",
    "endpoint: provider": "they call the provider's path under its name for the model; the router takes both, and ours spares a look-up",
    "chat: top_p, seed, penalties": "they drop all four",
    "chat: logprobs": "they drop both",
    "chat: stop": "they drop it: their field is only filled as stop_sequences",
    "chat: api_key, timeout, a slip": "ours warns of the slip and sends it; they say nothing and drop it",
    "call: top_k": "any setting may be given to a call",
    "call: model": "they keep the old one, without a word",
    "bind_tools, any of one": 'they ask for a tool named "any"',
    "bind_tools, any of two": '"any" is "required"',
    "bind_tools, parallel_tool_calls": "it is a setting like others",
    "structured: Pydantic": "an instance comes back; the method is the one the route does best",
    "structured: Pydantic, json_schema": "OpenAI's form, which the router documents; an instance comes back",
    "chat at a URL": 'the server is asked for the model\'s name; they send "dummy"',
    "chat at a URL, token": "a token that is given goes along; the name as above",
    "text at a URL": NATIVE,
    "text at a URL, async": NATIVE,
    "text at a URL, streamed": NATIVE + "; the last piece bears the facts",
    "text: every setting": NATIVE,
    "text: temperature=0": "TGI refuses 0; greedy is do_sample=false with nothing beside",
    "text: do_sample=False": "greedy, as it says; they sample at 0.8",
    "text: stop of the call": NATIVE,
    "text: streaming=True": NATIVE + "; they send the stop string twice",
    "text by a provider": "what asks for nothing stays out (watermark, stop)",
    "embeddings": "texts go out as they are, and are cut where too long; they make line breaks into blanks",
    "embeddings at a URL": "TEI by its URL, which they refuse",
}
"""Why ours sends something else."""


def redirect(url: str) -> None:
    """Let every host be the recording server, for both packages: they share httpx."""
    target = httpx.URL(url)

    def rewritten(request: httpx.Request) -> httpx.Request:
        if request.url.host != "127.0.0.1":
            request.extensions["asked"] = request.url.host
            request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=target.port)
        return request

    send, asend = httpx.Client.send, httpx.AsyncClient.send
    httpx.Client.send = lambda self, request, **kwargs: send(self, rewritten(request), **kwargs)  # type: ignore[method-assign]
    httpx.AsyncClient.send = lambda self, request, **kwargs: asend(self, rewritten(request), **kwargs)  # type: ignore[method-assign]


def tried(shape: Callable[[Any, str], Any], module: Any, server: Loopback) -> tuple[str, str]:
    """Give what was sent, the conversation left out where it is "Hello" alone, and what came of it."""
    start = len(server.bodies)
    forget_lookups()
    try:
        outcome = shown(shape(module, server.url))
    except Exception as error:  # noqa: BLE001 - what fails is a row of the table
        outcome = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:70]}"
    sent = []
    paths = [path for method, path in server.asked if method == "POST"][start:]
    for path, body, headers in zip(paths, server.bodies[start:], server.headers[start:], strict=True):
        body = {
            k: v for k, v in body.items() if v != [{"role": "user", "content": "Hello"}] and (k, v) != ("stream", False)
        }
        body = {k: 0 if isinstance(v, float) and v == 0 else v for k, v in body.items()}  # 0 and 0.0 are one number
        auth = (
            {"token": headers["authorization"].removeprefix("Bearer ")}
            if headers.get("authorization") not in (None, f"Bearer {TOKEN}")
            else {}
        )
        told = {"auth": "no"} if "authorization" not in headers else auth
        bill = {"X-HF-Bill-To": headers["x-hf-bill-to"]} if "x-hf-bill-to" in headers else {}
        sent.append(f"{path} {json.dumps({**body, **told, **bill}, sort_keys=True, ensure_ascii=False)}")
    return " + ".join(sent) or "nothing", outcome


def shown(result: Any) -> str:
    if isinstance(result, list) and result and hasattr(result[0], "usage_metadata"):
        whole = sum(result[1:], result[0]) if type(result[0]).__name__ == "AIMessageChunk" else result[0]
        return f"{len(result)} of " + shown(whole)
    if hasattr(result, "usage_metadata"):
        calls = f", {len(result.tool_calls)} calls" if result.tool_calls else ""
        return f"{result.text!r}{calls}, usage {'yes' if result.usage_metadata else 'no'}"
    return repr(result)[:60]


def main() -> None:
    warnings.simplefilter("ignore")
    os.environ.pop("HF_TOKEN", None)
    same, unexplained = 0, []
    with Loopback(answer) as server:
        redirect(server.url)
        print("| call | langchain_huggingface | langchain_hf_inference.compat | why |\n|---|---|---|---|")
        for name, shape in SHAPES.items():
            one, other = tried(shape, theirs, server), tried(shape, ours, server)
            same += one == other
            equal = "the same" if one == other else f"{other[0]} → {other[1]}"
            if (one != other) != (name in WHY):
                unexplained.append(name)
            print(f"| {name} | {one[0]} → {one[1]} | {equal} | {WHY.get(name, '')} |".replace("\n", " "))
    print(
        f"\n{len(SHAPES)} shapes, {same} the same, {len(SHAPES) - same} explained; wrongly or not explained: {unexplained or 'none'}"
    )
    sys.exit(bool(unexplained))


if __name__ == "__main__":
    main()
