"""nodes/n8n.py: n8n's Hugging Face sub-nodes, against what the real nodes were recorded to send.

Recordings of n8n and LangChain.js, and public workflows, are read from HF_NODES and never copied here; the
workflows in this file were written for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.messages import HumanMessage

from conftest import FarEnd
from langchain_hf_inference import ChatHFInference, ConfigurationError, HFInferenceEmbeddings, HFInferenceLLM
from langchain_hf_inference.nodes import SubNode, from_n8n
from langchain_hf_inference.nodes.n8n import DEFAULT_EMBEDDINGS, DEFAULT_MODEL, EMBEDDINGS_TYPE, MODEL_TYPE, REPAIRS
from langchain_hf_inference.testing import InferenceServer

FarEndMaker = Callable[..., FarEnd]
FOLDER = Path(os.environ.get("HF_NODES") or Path(__file__).parents[3] / "shared" / "nodes")
URL = "http://127.0.0.1:18080/ep"
EMBED_URL = "http://127.0.0.1:18080/embed"
HUB = {"mistralai/Mistral-Nemo-Base-2407": "text-generation", DEFAULT_EMBEDDINGS: "feature-extraction"}

needs_recordings = pytest.mark.skipif(not FOLDER.exists(), reason="no recordings of n8n at HF_NODES")


def workflow(parameters: dict[str, Any], kind: str = MODEL_TYPE, name: str = "Model", **more: Any) -> dict[str, Any]:
    """Give a workflow with one sub-node, connected to one chain."""
    node = {"name": name, "type": kind, "typeVersion": 1, "parameters": parameters,
            "credentials": {"huggingFaceApi": {"id": "c1", "name": "HF account"}}, **more}  # fmt: skip
    chain = {"name": "Chain", "type": "@n8n/n8n-nodes-langchain.chainLlm", "parameters": {}}
    link = "ai_embedding" if kind == EMBEDDINGS_TYPE else "ai_languageModel"
    return {"nodes": [node, chain], "connections": {name: {link: [[{"node": "Chain", "type": link, "index": 0}]]}}}


def one(parameters: dict[str, Any], kind: str = MODEL_TYPE, **kwargs: Any) -> SubNode:
    (node,) = from_n8n(workflow(parameters, kind), **kwargs)
    return node


def far_side(request: httpx.Request) -> Any:
    """Play the Hub, a text-generation endpoint and an embedding one."""
    if request.method == "GET":
        model = request.url.path.removeprefix("/api/models/")
        task = HUB.get(model)
        return (
            {"inferenceProviderMapping": {"hf-inference": {"providerId": model, "status": "live", "task": task}}}
            if task
            else httpx.Response(404)
        )
    body = json.loads(request.content)
    if body.get("stream"):
        end = {
            "token": {"text": ""},
            "generated_text": "Hi",
            "details": {"finish_reason": "length", "generated_tokens": 1},
        }
        lines = [{"token": {"text": "Hi"}}, end]
        return "".join(f"data: {json.dumps(line)}\n\n" for line in lines).encode()
    if isinstance(body["inputs"], list):
        return httpx.Response(200, json=[[0.0, 1.0, 2.0]] * len(body["inputs"]))
    return httpx.Response(200, json=[{"generated_text": "Hi"}])


def sent(far: FarEnd) -> list[tuple[str, Any]]:
    return [(str(r.url), json.loads(r.content)) for r in far.requests if r.method == "POST"]


# What was asked of the recorded nodes, by the name of the case; LangChain.js calls the options as n8n does.
TEXT_CASES: dict[str, tuple[dict[str, Any], str | None]] = {
    # case                              options                                         the repair that makes ours differ
    "endpoint:none":                    ({}, None),
    "endpoint:maxTokens":               ({"maxTokens": 64}, None),
    "endpoint:temperature":             ({"temperature": 0.7}, None),
    "endpoint:temperature0":            ({"temperature": 0}, "temperature"),
    "endpoint:topK":                    ({"topK": 1}, None),
    "endpoint:topK50":                  ({"topK": 50}, None),
    "endpoint:topP":                    ({"topP": 0.9}, None),
    "endpoint:topP1":                   ({"topP": 1}, "topP"),
    "endpoint:frequencyPenalty":        ({"frequencyPenalty": 0.5}, None),
    "endpoint:frequencyPenaltyNeg":     ({"frequencyPenalty": -1}, "frequencyPenalty"),
    "endpoint:frequencyPenalty0":       ({"frequencyPenalty": 0}, "frequencyPenalty"),
    "endpoint:presencePenalty":         ({"presencePenalty": 0.5}, None),
    "endpoint:strings":                 ({"temperature": "0.7", "maxTokens": "64", "topP": "0.9"}, "numbers"),
    "endpoint:nulls":                   ({"temperature": None, "maxTokens": None, "topP": None}, None),
    "endpoint:all":                     ({"temperature": 1, "maxTokens": 128, "topP": 1, "topK": 1, "frequencyPenalty": 0, "presencePenalty": 0}, "topP and frequencyPenalty"),
    "endpoint:stop-call":               ({}, None),
    "endpoint:stream":                  ({"maxTokens": 5}, None),
    "endpoint:emptyEndpoint":           ({"endpointUrl": ""}, None),
    "hub:none":                         ({"endpointUrl": None}, None),
    "hub:all":                          ({"endpointUrl": None, "temperature": 1, "maxTokens": 128, "topP": 1, "topK": 1, "frequencyPenalty": 0, "presencePenalty": 0}, "topP and frequencyPenalty"),
    "hub:provider-option":              ({"endpointUrl": None}, None),
    "endpoint:v1chat":                  ({"endpointUrl": "http://127.0.0.1:18080/v1/chat/completions"}, None),
    "endpoint:batch3":                  ({"maxTokens": 3}, None),
    "emb:endpoint":                     ({}, "line breaks"),
    "emb:endpoint-query":               ({}, None),
    "emb:endpoint+provider-auto":       ({"provider": "auto"}, None),
    "emb:hub":                          ({"endpointUrl": None}, None),
    "emb:hub-provider-hf-inference":    ({"endpointUrl": None, "provider": "hf-inference"}, None),
    "emb:hub-provider-nebius":          ({"endpointUrl": None, "provider": "nebius"}, None),
}  # fmt: skip


def recorded() -> dict[str, Any]:
    path = FOLDER / "wire" / "langchainjs_hf_wire.json"
    return {case["name"]: case for case in json.loads(path.read_text())} if path.exists() else {}


def repaired(parameters: dict[str, Any], repair: str | None) -> dict[str, Any]:
    """Apply the repairs that are named to what n8n sends."""
    found = dict(parameters)
    if repair and "topP" in repair:
        del found["top_p"]
    if repair and "frequencyPenalty" in repair:
        del found["repetition_penalty"]
    if repair == "temperature":
        del found["temperature"]
        found["do_sample"] = False
    if repair == "numbers":
        found = {key: float(value) if isinstance(value, str) else value for key, value in found.items()}
    return found


@needs_recordings
@pytest.mark.parametrize("case", TEXT_CASES)
@pytest.mark.filterwarnings("ignore")
def test_like_langchain_js(far_end: FarEndMaker, case: str) -> None:
    """Method, address and body are those that LangChain.js was recorded to send, but for the named repair."""
    truth, (options, repair) = recorded()[case], TEXT_CASES[case]
    far = far_end(far_side)
    embeds = case.startswith("emb:")
    given = {"endpointUrl": EMBED_URL if embeds else URL, **options}
    kind = EMBEDDINGS_TYPE if embeds else MODEL_TYPE
    if "error" in truth and not truth["requests"]:
        with pytest.raises((ConfigurationError, ValueError)):  # n8n sends nothing either
            one({"options": given}, kind, credentials={"HF account": "hf_test"}, **far.clients).model.embed_query("a")
        assert sent(far) == []
        return

    model = one({"options": given}, kind, credentials={"HF account": "hf_test"}, **far.clients).model
    if embeds:
        model.embed_query("q") if "query" in case else model.embed_documents(
            ["a\nb", "c"] if case == "emb:endpoint" else ["a", "c"]
        )
    elif case == "endpoint:stream":
        list(model.stream("Hello"))
    elif case == "endpoint:batch3":
        model.batch(["a", "b", "c"], config={"max_concurrency": 1})
    else:
        model.invoke("Hello", stop=["X"] if case == "endpoint:stop-call" else None)

    wanted = [(r["url"], r["body"]) for r in truth["requests"] if r["method"] == "POST"]
    if not embeds:
        wanted = [(url, {**body, "parameters": repaired(body["parameters"], repair)}) for url, body in wanted]
    if repair == "line breaks":
        wanted = [(url, {"inputs": ["a\nb", "c"]}) for url, _ in wanted]
    assert sent(far) == wanted
    assert far.requests[-1].headers["authorization"] == "Bearer hf_test"


@needs_recordings
def test_all_recorded_cases_are_tested() -> None:
    """None of the 29 recorded cases is left out."""
    assert set(TEXT_CASES) == set(recorded())
    assert {repair for _, repair in TEXT_CASES.values() if repair and " and " not in repair} <= set(REPAIRS)


N8N_RUNS: dict[str, tuple[str, list[Any], list[Any]]] = {
    # workflow of the experiment       item fields                                   parameters on the wire
    "defaults": ("/ep", [], [{"return_full_text": False}]),
    "all-options-added-untouched": ("/ep", [], [{"return_full_text": False, "temperature": 1, "max_new_tokens": 128, "top_k": 1}]),
    "expr-first-item 3 items": ("/ep/org/model-0", [{"m": f"org/model-{i}", "t": 0.1 + i / 10, "mt": str(10 + i)} for i in range(3)],
                                [{"return_full_text": False, "temperature": 0.1, "max_new_tokens": 10}]),
    "wrong types + out of range": ("/ep", [], [{"return_full_text": False, "temperature": 0.7, "max_new_tokens": 64, "top_k": 50}]),
    "chat messages in chain": ("/ep", [], [{"return_full_text": False}]),
    "agent+hf": ("/ep", [], [{"return_full_text": False}]),
    "chain 1.7 sys msg": ("/ep", [], [{"return_full_text": False}]),
    "chain 1.7 batching 4 items": ("/ep", [{"m": "a/b"}], [{"return_full_text": False}]),
    "= literal": ("/ep/lit", [], [{"return_full_text": False, "max_new_tokens": 25}]),
    "429 retry": ("/fail429", [], [{"return_full_text": False}]),
}  # fmt: skip


@needs_recordings
@pytest.mark.parametrize("name", N8N_RUNS)
@pytest.mark.filterwarnings("ignore")
def test_like_real_n8n(far_end: FarEndMaker, name: str) -> None:
    """The workflows that were run in the real n8n, imported, call the same address with the same parameters."""
    files = [json.loads((FOLDER / "wire" / f"n8n_experiment_workflows_{i}.json").read_text()) for i in (1, 2)]
    export = next(w for several in files for w in several if w["name"] == name)
    path, items, parameters = N8N_RUNS[name]
    far = far_end(far_side)

    (node,) = from_n8n(
        export, items=[{"json": item} for item in items] or None, credentials={"HF": "hf_n8n_test"}, **far.clients
    )
    node.model.invoke("Question 0")

    assert [(str(r.url.path), json.loads(r.content)) for r in far.requests] == [
        (path, {"inputs": "Question 0", "parameters": p}) for p in parameters
    ]
    real = [json.loads(line) for line in (FOLDER / "wire" / "n8n_wire.jsonl").read_text().splitlines()]
    assert path in {row["path"] for row in real}


@needs_recordings
def test_openai_node_of_n8n(server: InferenceServer) -> None:
    """What n8n's OpenAI Chat Model node was recorded to send is what chat servers take: the recipe of docs/how-to/n8n.md."""
    lines = (FOLDER / "wire" / "n8n_wire.jsonl").read_text().splitlines()
    (body,) = [row["body"] for row in map(json.loads, lines) if row["path"] == "/oa/v1/chat/completions"]

    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body)

    assert answer.status_code == 200
    assert body.keys() >= {"frequency_penalty", "presence_penalty", "max_tokens"}


@needs_recordings
def test_public_workflows() -> None:
    """All workflows that were collected are imported, or refused as they must be."""
    outcomes = {}
    for path in sorted((FOLDER / "n8n_workflows").glob("[0-9]*.json")):
        try:
            nodes = from_n8n(path.read_text())
            outcomes[path.name[:2]] = [(n.kind, n.model.model, bool(n.targets)) for n in nodes]
        except ConfigurationError as error:
            outcomes[path.name[:2]] = str(error)
    assert outcomes["03"] == [("llm", "mistralai/Mistral-7B-Instruct-v0.1", True)]
    assert "is a URL" in outcomes["07"]
    assert "FLUX" in outcomes["07"]
    for number in ("04", "08", "09"):
        assert all(row[0] == "embeddings" and row[2] for row in outcomes[number]), number
    assert {row[1] for row in outcomes["06"]} == {"intfloat/multilingual-e5-large"}


def test_kinds_and_targets() -> None:
    """Name, kind, object and the nodes that use it; other nodes are passed by."""
    text, chat, vectors = (
        one({"model": "org/name"}),
        one({"model": "org/name"}, as_chat=True),
        one({"modelName": "org/e"}, EMBEDDINGS_TYPE),
    )

    assert [(n.name, n.kind, type(n.model), n.targets) for n in (text, chat, vectors)] == [
        ("Model", "llm", HFInferenceLLM, ("Chain",)),
        ("Model", "chat", ChatHFInference, ("Chain",)),
        ("Model", "embeddings", HFInferenceEmbeddings, ("Chain",)),
    ]
    assert [n.model.model for n in (text, chat, vectors)] == ["org/name", "org/name", "org/e"]
    assert (one({}).model.model, one({}, EMBEDDINGS_TYPE).model.model) == (DEFAULT_MODEL, DEFAULT_EMBEDDINGS)


def test_as_chat(far_end: FarEndMaker) -> None:
    """The chat model has penalties that are penalties, and says that the meaning changed."""
    far = far_end()
    options = {"frequencyPenalty": 0.5, "presencePenalty": "0.25", "maxTokens": 9, "topP": 1, "temperature": 0}

    node = one({"model": "org/name", "options": options}, as_chat=True, credentials={"c1": "hf_x"}, **far.clients)
    node.model.invoke([HumanMessage("Hello")])

    assert {k: v for k, v in far.bodies[0].items() if k != "messages"} == {
        "model": "org/name", "frequency_penalty": 0.5, "presence_penalty": 0.25, "max_tokens": 9, "top_p": 1.0, "temperature": 0.0}  # fmt: skip
    assert "frequencyPenalty is frequency_penalty here; in n8n it was sent as repetition_penalty" in node.notes
    assert "presencePenalty is presence_penalty here; in n8n it had no effect" in node.notes


def test_notes_tell_of_repairs() -> None:
    """Each repair, and each option without effect, is told."""
    options = {
        "endpointUrl": URL,
        "frequencyPenalty": 0,
        "presencePenalty": 1,
        "topP": "1",
        "topK": 0,
        "temperature": 0,
    }

    notes = " | ".join(one({"options": options}).notes)

    for word in (
        "frequencyPenalty=0",
        "presencePenalty has no effect",
        "topP=1",
        "topP='1'",
        "topK=0",
        "temperature=0",
    ):
        assert word in notes, word


def test_several_and_fragments() -> None:
    """A list of exports, a copied fragment, JSON text; nodes without parameters or connections."""
    fragment = {"nodes": [{"name": "Model", "type": MODEL_TYPE}], "connections": {}}

    assert len(from_n8n([workflow({}), workflow({}, EMBEDDINGS_TYPE)])) == 2
    assert from_n8n(json.dumps(fragment))[0].targets == ()
    assert from_n8n({"nodes": [{"name": "Set", "type": "n8n-nodes-base.set"}, None]}) == []


ITEMS = [{"json": {"m": "org/first", "deep": {"t": 0.5, "list": [1, "2"]}, "n": "7"}}, {"json": {"m": "org/second"}}]


def test_first_item_rule() -> None:
    """An expression sees the first item alone; `=text` is the text."""
    options = {
        "temperature": "={{ $json.deep.t }}",
        "maxTokens": "={{ $json.n }}",
        "topK": '={{ $json["deep"].list[1] }}',
    }

    node = one({"model": "={{ $json.m }}", "options": options}, items=ITEMS)
    plain = one({"model": "=org/plain", "options": {"endpointUrl": "=http://h:1/{{ $json.m }}"}}, items=[{"m": "x"}])

    assert (node.model.model, node.model.temperature, node.model.max_tokens, node.model.top_k) == (
        "org/first",
        0.5,
        7,
        2,
    )
    assert plain.model.endpoint_url == "http://h:1/x"


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a scrubbed secret": (workflow({"options": {"maxTokens": "YOUR_TOKEN_HERE"}}), {}, r"Model: maxTokens: 'YOUR_TOKEN_HERE' is no number"),
    "a word": (workflow({"options": {"temperature": "warm", "topP": "much"}}), {}, r"Model: temperature: 'warm'.*; Model: topP: 'much'"),
    "out of our range": (workflow({"options": {"maxTokens": 0}}), {}, r"(?s)Model: .*max_tokens"),
    "a URL for a model": (workflow({"model": "https://huggingface.co/org/x"}), {}, r"Model: model is a URL"),
    "no URL": (workflow({"options": {"endpointUrl": "org/name"}}), {}, r"Model: endpointUrl='org/name' is no http\(s\) URL"),
    "both places": (workflow({"options": {"endpointUrl": URL, "provider": "novita"}}, EMBEDDINGS_TYPE), {}, r"Model: provider and endpointUrl exclude"),
    "JavaScript": (workflow({"model": "={{ $json.m.toUpperCase() }}"}), {"items": ITEMS}, r"Model: model: .*only \{\{ \$json.a.b \}\}"),
    "another node": (workflow({"model": "={{ $('Set').first().json.m }}"}), {"items": ITEMS}, r"Model: model: .*is not resolved"),
    "no items": (workflow({"model": "={{ $json.m }}"}), {}, r"Model: model: .*no items were given"),
    "a path that ends": (workflow({"model": "={{ $json.a.b }}"}), {"items": ITEMS}, r"Model: model: .*the first item has no 'a'"),
    "no such type": (workflow({}, "@n8n/n8n-nodes-langchain.embeddingsHuggingFace"), {}, r"no sub-node of type .*did you mean @n8n/n8n-nodes-langchain.embeddingsHuggingFaceInference"),
    "another credential": (workflow({}), {"credentials": {"other": "hf_x"}}, r"Model: there is no token for its credential 'HF account' or 'c1'"),
    "no workflow": ({"name": "x"}, {}, r'no list of "nodes"'),
    "no JSON": ("{", {}, r"no workflow: not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    """What cannot be meant is refused by node and field, all of them at once."""
    given, options, words = REFUSED[case]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ConfigurationError, match=words):
            from_n8n(given, **options)


def test_tokens() -> None:
    """A token comes by the credential's name or id, and goes where the node points; without, none goes to others."""
    for key in ("HF account", "c1", "huggingFaceApi"):
        assert one({}, credentials={key: "hf_x"}).model.api_key.get_secret_value() == "hf_x"
    assert one({}).model.api_key is None
    assert "hf_x" not in repr(one({}, credentials={"c1": "hf_x"}))


def test_long_expressions_in_bounded_time() -> None:
    """A hundred kilobytes of braces are read at once: an expression comes from a file that anybody may have made."""
    for value in ("=" + "{{" * 60_000, "=}}" + "{{ $json.x " * 20_000, "={{" + " " * 100_000):
        node = {"name": "HF", "type": MODEL_TYPE, "typeVersion": 1, "parameters": {"model": value}}
        begun = time.process_time()
        with contextlib.suppress(ConfigurationError):
            from_n8n({"nodes": [node]}, [{"x": 1}])
        assert time.process_time() - begun < 2
