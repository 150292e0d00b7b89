"""nodes/actions.py, action.py, fields.py: models described as data, as forms and workflow files give them."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from typing import Any

import pytest
from calling import Call, both_ways
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from langchain_core.messages import AIMessage
from pydantic import ValidationError

from langchain_hf_inference import ChatHFInference, InvalidRequestError
from langchain_hf_inference.nodes import (
    Action,
    ChatCompletionAction,
    EmbeddingsAction,
    TextClassificationAction,
    TextToImageAction,
)
from langchain_hf_inference.nodes.action import error_envelope
from langchain_hf_inference.nodes.actions import completion_of
from langchain_hf_inference.nodes.fields import number, resolved, whole
from langchain_hf_inference.testing import Fault, InferenceServer

ACTIONS = [ChatCompletionAction, EmbeddingsAction, TextClassificationAction, TextToImageAction]
SEED = {
    "model": "scripted/chat",
    "message": "e.g. Summarize this article in 3 bullets",
    "system_prompt": "e.g. You are a helpful assistant.",
    "temperature": "0.7",
    "max_tokens": "1024",
}


def ran(call: Call, action: Action, **options: Any) -> dict[str, Any]:
    return asyncio.run(action.arun(**options)) if call.is_async else action.run(**options)


def batched(call: Call, kind: type[Action], items: list[Any], **options: Any) -> list[dict[str, Any]]:
    return asyncio.run(kind.abatch(items, **options)) if call.is_async else kind.batch(items, **options)


@both_ways
def test_sample_verbatim(call: Call, server: InferenceServer) -> None:
    """Numbers typed as text are numbers on the wire; the answer has OpenAI's keys."""
    answer = ran(call, ChatCompletionAction(**SEED, endpoint_url=server.url))

    assert server.requests[-1].body == {
        "model": "scripted/chat",
        "messages": [
            {"role": "system", "content": SEED["system_prompt"]},
            {"role": "user", "content": SEED["message"]},
        ],
        "temperature": 0.7,
        "max_tokens": 1024,
    }
    assert answer.keys() == {"id", "object", "created", "model", "choices", "usage"}
    assert answer["choices"] == [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": f"You said: {SEED['message']}"}}]  # fmt: skip
    assert answer["usage"].keys() >= {"prompt_tokens", "completion_tokens", "total_tokens"}
    json.dumps(answer)


@both_ways
def test_every_setting(call: Call, server: InferenceServer) -> None:
    """All fields reach the server, camelCase too, and reasoning comes back."""
    filled = {"message": "Hello", "topP": "0.9", "seed": "7", "stop": '["\\n", "END"]', "responseFormat": "json_object", "maxTokens": "64",
              "endpointUrl": server.url, "systemPrompt": "", "temperature": " 0 "}  # fmt: skip

    ran(call, ChatCompletionAction(**filled))

    sent = {key: value for key, value in server.requests[-1].body.items() if key != "messages"}
    assert sent == {"model": "scripted/chat", "top_p": 0.9, "seed": 7, "stop": ["\n", "END"], "max_tokens": 64, "temperature": 0,
                    "response_format": {"type": "json_object"}}  # fmt: skip


def test_schema_for_the_answer(server: InferenceServer) -> None:
    """`response_format` takes OpenAI's object, as data or as JSON in a text."""
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"x": {"type": "integer"}}}},
    }
    for given_as in (wanted, json.dumps(wanted)):
        ChatCompletionAction(message="Hello", endpoint_url=server.url, response_format=given_as).run()

        assert server.requests[-1].body["response_format"] == wanted


def test_build_gives_the_model() -> None:
    """`build` gives the LangChain model, the token and further arguments being given there."""
    model = ChatCompletionAction(model="org/name", provider="fastest", message="x", temperature="0.5").build(
        "hf_x", max_retries=4
    )

    assert (type(model), model.model, model.provider, model.temperature) == (
        ChatHFInference,
        "org/name",
        "fastest",
        0.5,
    )
    assert (model.api_key.get_secret_value(), model.max_retries) == ("hf_x", 4)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    # what                          data                                    words of the error
    "a word":                       ({"temperature": "hot"},                "temperature.*'hot' is no number"),
    "not a number":                 ({"temperature": "nan"},                "temperature.*'nan' is no number"),
    "not a number, as float":       ({"temperature": math.nan},             "temperature.*nan is no number"),
    "infinite":                     ({"top_p": "inf"},                      "top_p.*'inf' is no number"),
    "too large to count":           ({"temperature": "1e999"},              "temperature.*too large"),
    "a switch":                     ({"temperature": True},                 "temperature.*True is no number"),
    "out of range":                 ({"temperature": "2.5"},                "temperature.*less than or equal to 2"),
    "below range":                  ({"max_tokens": 0},                     "max_tokens.*greater than or equal to 1"),
    "a comma":                      ({"temperature": "0,7"},                "temperature.*'0,7' is no number"),
    "half a token":                 ({"max_tokens": "10.5"},                "max_tokens.*no whole number"),
    "a scrubbed secret":            ({"max_tokens": "YOUR_TOKEN_HERE"},     "max_tokens.*is no number"),
    "an expression of n8n":         ({"temperature": "={{ $json.n }}"},     "temperature: .*is not resolved"),
    "a reference":                  ({"message": "About {{topic}}"},        "message: .*topic.* no context was given"),
    "a reference deep inside":      ({"stop": ["{{a}}"]},                   "stop: .*is not resolved"),
    "a slip":                       ({"max_token": 5},                      "max_token is no field.*did you mean max_tokens"),
    "a stranger":                   ({"colour": 5},                         "colour is no field of ChatCompletionAction"),
    "two spellings":                ({"max_tokens": 5, "maxTokens": 6},     "max_tokens is given twice"),
    "no message":                   ({"message": "  "},                     "message"),
    "no model":                     ({"model": ""},                         "model is empty"),
    "an odd format":                ({"response_format": "yaml"},           "response_format.*'yaml'"),
    "a format without a type":      ({"response_format": {"a": 1}},         'response_format.*the object has no "type"'),
    "broken JSON":                  ({"response_format": "{type:"},         "response_format.*no JSON"),
    "a negative seed":              ({"seed": -1},                          "seed"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    """What cannot be meant is refused by the field's name, before anything is sent; in a batch as data."""
    changed, words = BAD[case]
    data = {"model": "org/name", "message": "Hello", **changed}

    with pytest.raises(ValidationError, match=f"(?s){words}"):
        ChatCompletionAction(**data)
    (failed,) = ChatCompletionAction.batch([data])
    assert failed["index"] == 0
    assert failed["error"]["attempts"] == 0
    assert words.partition(".*")[0].rstrip(":") in failed["error"]["message"]


@pytest.mark.parametrize(
    ("typed", "meant"), [("0.7", 0.7), (" 12 ", 12), ("", None), ("  ", None), ("1e-2", 0.01), (".5", 0.5), (2, 2)]
)
def test_numbers(typed: Any, meant: Any) -> None:
    """Numbers are read as people write them."""
    assert number(typed) == meant


def test_whole_numbers() -> None:
    """10.0 is ten."""
    assert [whole(value) for value in ("10.0", 10.0, "10", 10, "")] == [10, 10, 10, 10, None]


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none()))
def test_any_number_is_read_or_refused(value: Any) -> None:
    """Whatever stands in a number's field, a finite number comes out, nothing, or an error of ours."""
    try:
        found = number(value)
    except ValueError:
        return
    assert found is None or math.isfinite(found)


CONTEXT = {"article": {"text": "Cats {{purr}}.", "tags": ["a", "b"], "words": 120}, "n": 0.5, "user-id": "u1"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{{article.text}}", "Cats {{purr}}."),
        ("{{ article.words }}", 120),
        ("Sum up: {{article.text}} ({{n}})", "Sum up: Cats {{purr}}. (0.5)"),
        ("{{article.tags.1}}", "b"),
        ("{{article.tags}}", ["a", "b"]),
        ("Tags: {{article.tags}}", 'Tags: ["a", "b"]'),
        ("{{user-id}}", "u1"),
        ("{{n}}{{n}}", "0.50.5"),
        (["{{n}}", {"a": "{{n}}"}], [0.5, {"a": 0.5}]),
        ("{ {n} } and }} alone {{", "{ {n} } and }} alone {{"),
    ],
)
def test_references(written: Any, meant: Any) -> None:
    """Paths into the context, and nothing more; what they lead to is not looked into again."""
    assert resolved(written, CONTEXT) == meant


@pytest.mark.parametrize(
    "written",
    ["{{article.none}}", "{{article.tags.7}}", "{{n.x}}", "{{1 + 1}}", "{{f()}}", "{{}}", "{{a..b}}", "{{ $json.n }}"],
)
def test_references_that_lead_nowhere(written: str) -> None:
    """A path that is not there, or no path at all, is named."""
    with pytest.raises(ValueError, match="leads nowhere|is not resolved"):
        resolved(written, CONTEXT)


@both_ways
def test_parse_with_context(call: Call, server: InferenceServer) -> None:
    """A whole reference takes the value's own type; a text that came from the context may hold braces."""
    data = {
        "message": "{{article.text}}",
        "temperature": "{{n}}",
        "max_tokens": "{{article.words}}",
        "endpoint_url": server.url,
    }

    ran(call, ChatCompletionAction.parse(data, CONTEXT))

    body = server.requests[-1].body
    assert (body["messages"][0]["content"], body["temperature"], body["max_tokens"]) == ("Cats {{purr}}.", 0.5, 120)
    with pytest.raises(ValueError, match=r"message: \{\{gone\}\} leads nowhere: the context has no 'gone'"):
        ChatCompletionAction.parse({"message": "{{gone}}"}, CONTEXT)


@pytest.mark.parametrize("kind", ACTIONS)
def test_form(kind: type[Action]) -> None:
    """A form can be drawn: one type and a help for each field, ranges, what is required; the example fits."""
    form = kind.form_schema()

    assert form["additionalProperties"] is False
    for name, rules in form["properties"].items():
        assert rules["description"], name
        assert "type" in rules or name == "response_format"
        assert rules.get("default") is None
    request = kind(**kind.example["request"])
    Draft202012Validator(form).validate(request.model_dump(exclude_none=True))
    Draft202012Validator(kind.accepts_schema()).validate(kind.example["request"])
    assert kind.model_validate_json(request.model_dump_json()) == request


def test_ranges_of_the_form() -> None:
    """Ranges of numbers are those that are checked."""
    rules = ChatCompletionAction.form_schema()["properties"]

    assert (rules["temperature"]["minimum"], rules["temperature"]["maximum"]) == (0, 2)
    assert (rules["max_tokens"]["type"], rules["max_tokens"]["minimum"]) == ("integer", 1)
    assert ChatCompletionAction.form_schema()["required"] == ["message"]


@both_ways
def test_batch_under_fire(call: Call) -> None:
    """Fifty items, eight at once: order kept, a refused one as an error in its place, passing failures tried again."""
    with InferenceServer(models=["m"]) as server:
        server.fail(Fault.of_status(429, **{"Retry-After": "0"}), times=3)
        server.fail(Fault.of_status(503, **{"Retry-After": "0"}), times=2)
        items: list[Any] = [{"model": "m", "message": f"message {i}", "endpoint_url": server.url} for i in range(50)]
        items[7] = {**items[7], "model": "m", "temperature": "hot"}
        items[9] = ChatCompletionAction(**{**items[9], "model": "other"})

        found = batched(
            call, ChatCompletionAction, items, max_concurrency=8, max_retries=5
        )  # all five may meet one item

        assert len(server.requests) == 48 + 5 + 1
    texts = [row["choices"][0]["message"]["content"] if "choices" in row else row["error"]["type"] for row in found]
    assert texts[:7] == [f"You said: message {i}" for i in range(7)]
    assert (texts[7], texts[9]) == ("ValidationError", "ModelNotFoundError")
    assert found[9] == {"index": 9, "error": {"message": found[9]["error"]["message"], "type": "ModelNotFoundError", "status": 404,
                                              "code": found[9]["error"]["code"], "attempts": 1}}  # fmt: skip
    assert texts[10:] == [f"You said: message {i}" for i in range(10, 50)]


@both_ways
def test_attempts_are_counted(call: Call, server: InferenceServer) -> None:
    """An item that was tried again and again says how often."""
    server.fail(Fault.of_status(500), times=3)
    server.fail(Fault.of_status(500), times=3)

    (failed,) = batched(call, ChatCompletionAction, [{"message": "x", "endpoint_url": server.url}], max_retries=2)

    assert (failed["error"]["status"], failed["error"]["attempts"]) == (500, 3)


@both_ways
def test_batch_may_raise(call: Call, server: InferenceServer) -> None:
    """`on_error="raise"` raises the first failure."""
    server.fail(Fault.of_status(400))

    with pytest.raises(InvalidRequestError):
        batched(call, ChatCompletionAction, [{"message": "x", "endpoint_url": server.url}], on_error="raise")


@both_ways
def test_embeddings(call: Call, server: InferenceServer) -> None:
    """One text or several, typed or as JSON."""
    for typed in (["a", "b"], '["a", "b"]'):
        answer = ran(call, EmbeddingsAction(model="scripted/e", input=typed, endpoint_url=server.url, dimensions="8"))

        assert [row["index"] for row in answer["data"]] == [0, 1]
        assert len(answer["data"][0]["embedding"]) == 8
    assert server.requests[-1].body["input"] == ["a", "b"]
    assert EmbeddingsAction(model="m", input="one text").input == ["one text"]


@both_ways
def test_classification(call: Call) -> None:
    """Labels with scores, the likeliest first, as many as asked for."""
    with InferenceServer(engine="tei") as tei:
        answer = ran(call, TextClassificationAction(text="good", top_k="1", endpoint_url=tei.url))

    assert len(answer["labels"]) == 1
    assert answer["labels"][0].keys() == {"label", "score"}


@both_ways
def test_picture(call: Call, far_end: Any) -> None:
    """A picture comes as base64, with its media type."""
    png = b"\x89PNG\r\n\x1a\n" + b"0" * 20
    mapping = {
        "inferenceProviderMapping": {"together": {"providerId": "flux", "status": "live", "task": "text-to-image"}}
    }
    far = far_end(lambda r: mapping if r.method == "GET" else {"data": [{"b64_json": base64.b64encode(png).decode()}]})
    action = TextToImageAction(model="org/flux", provider="together", prompt="A cat", width="512", guidance_scale="3.5")

    answer = ran(call, action, token="hf_x", **far.clients)

    assert base64.b64decode(answer["data"][0]["b64_json"]) == png
    assert answer["data"][0]["media_type"] == "image/png"
    assert far.bodies[-1]["width"] == 512


def test_no_token_within() -> None:
    """A token is no field: it is neither shown nor saved."""
    with pytest.raises(ValidationError, match="api_key is no field"):
        ChatCompletionAction(model="m", message="x", api_key="hf_x")


def test_envelope_of_any_error() -> None:
    """Failures without an answer say so."""
    assert error_envelope(ValueError("odd")) == {
        "message": "odd",
        "type": "ValueError",
        "status": None,
        "code": None,
        "attempts": 0,
    }


def test_answers_are_whole() -> None:
    """What an answer holds beside its text is in the completion, as the server said it."""
    said = {"reasoning_content": "Hm.", "refusal": "No.", "annotations": [{"type": "url_citation"}]}
    metadata = {"id": "c1", "created": 5, "model_name": "m", "finish_reason": "stop"}
    found = completion_of(AIMessage("Hi", additional_kwargs=said, response_metadata=metadata))

    assert found == {
        "id": "c1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi", **said}, "finish_reason": "stop"}],
    }
