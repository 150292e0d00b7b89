"""_protocol/response_end.py: how a response ended, on every path; an incomplete response is never taken for a complete one."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from response_paths import PATHS, STREAMED, Response, call, call_delta, model_of, read, read_from, streaming_of

from langchain_hf_inference import (
    APIStatusError,
    ChatHFInference,
    HFInferenceError,
    RateLimitError,
    ServerError,
    StreamError,
)
from langchain_hf_inference._protocol.invalid_calls import TRUNCATED_MARK
from langchain_hf_inference._protocol.response_end import parse_arguments, parse_complete_json

all_paths = pytest.mark.parametrize("path", PATHS)
streamed_paths = pytest.mark.parametrize("path", STREAMED)


def calls_of(message: AIMessage) -> list[tuple[str, Any]]:
    return [(found["name"], found["args"]) for found in message.tool_calls]


def one_call(arguments: Any, *, finish: str | None = "tool_calls", pieces: list[Any] | None = None) -> Response:
    """Return a response with one call, its arguments streamed in pieces."""
    deltas = [call_delta("", "write", identity="c1")] + [
        call_delta(p) for p in (pieces if pieces is not None else [arguments])
    ]
    return Response({"content": None, "tool_calls": [call("write", arguments)]}, deltas, finish)


TRUNCATED = {
    "in a string": '{"path": "/home/us',
    "after a backslash": '{"path": "C:\\',
    "in an escape": '{"path": "\\u00',
    "in a number": '{"count": 4',
    "after a key": '{"path"',
    "after a colon": '{"path": ',
    "after a comma": '{"path": "/home/user", ',
    "in a list": '{"paths": ["a", "b',
    "in an inner object": '{"a": {"b": 1}',
    "brace alone": "{",
    "in a literal": '{"a": tru',
    "in the wrapper": '{"function": {"_name": "write", "path": "/ho',
    "encoded twice": '"{\\"path\\": \\"/home',
}


@all_paths
@pytest.mark.parametrize("finish", ["length", "tool_calls", "stop", "max_tokens"])
@pytest.mark.parametrize("text", TRUNCATED.values(), ids=TRUNCATED)
def test_truncated_call_is_invalid(path: str, text: str, finish: str) -> None:
    """A truncated call is invalid, whatever the server gives as its finish reason (some vLLM versions: tool_calls)."""
    half = len(text) // 2
    message = read(path, one_call(text, finish=finish, pieces=[text[:half], text[half:]]))

    assert message.tool_calls == []
    (bad,) = message.invalid_tool_calls
    assert (bad["name"], bad["id"]) == ("write", "c1")
    assert str(bad["args"]).startswith(text)
    assert message.response_metadata["finish_reason"] == (
        "length" if finish in ("length", "max_tokens") else "tool_calls"
    )
    if path not in ("stream", "astream"):  # there core adds up the chunks, where nobody can give the text back
        assert bad["args"] == text
        assert ("max_tokens" if finish in ("length", "max_tokens") else "arguments are") in str(bad["error"])


@all_paths
@pytest.mark.parametrize("text", ["", "  "])
def test_call_truncated_before_its_arguments(path: str, text: str) -> None:
    """A call of which max_tokens left the name alone is no call without arguments; elsewhere it is."""
    assert read(path, one_call(text, finish="length")).tool_calls == []
    assert calls_of(read(path, one_call(text))) == [("write", {})]


@all_paths
def test_only_the_last_call_can_be_truncated(path: str) -> None:
    """Of two calls in a truncated response, the first is complete."""
    message = {"tool_calls": [call("now", "", "c1"), call("write", '{"path": "/ho', "c2")]}
    deltas = [call_delta("", "now", 0, "c1"), call_delta('{"path": "/ho', "write", 1, "c2")]

    found = read(path, Response(message, deltas, "length"))

    assert calls_of(found) == [("now", {})]
    assert [bad["name"] for bad in found.invalid_tool_calls] == ["write"]


@streamed_paths
def test_complete_call_in_a_truncated_response(path: str) -> None:
    """A call whose arguments are closed is complete, whatever max_tokens truncated after it."""
    assert calls_of(read(path, one_call('{"path": "/home/user"}', finish="length"))) == [
        ("write", {"path": "/home/user"})
    ]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("finish", ["length", "tool_calls"])
def test_agents_do_not_run_truncated_calls(streaming: bool, finish: str) -> None:
    """create_agent gets an invalid call, and runs nothing, also while it streams messages."""
    ran: list[str] = []

    def write(path: str = "") -> str:
        """Write a file."""
        ran.append(path)
        return "done"

    model = model_of(one_call('{"path": "/home/us', finish=finish), streaming=streaming)
    agent = create_agent(model, [write])
    state = agent.invoke({"messages": [HumanMessage("Write")]})
    pieces = [chunk for chunk, _ in agent.stream({"messages": [HumanMessage("Write")]}, stream_mode="messages")]

    assert ran == []
    assert state["messages"][-1].invalid_tool_calls[0]["name"] == "write"
    assert pieces


@streamed_paths
def test_chunks_are_cores_own(path: str) -> None:
    """The chunks of a truncated call are of langchain-core's class; sums of sums stay invalid, and blocks are unmarked."""
    chunks = list(model_of(one_call('{"path": "/ho', finish="length")).stream("Hello"))
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    total = total + AIMessageChunk(content="")

    assert {type(chunk) for chunk in chunks} == {AIMessageChunk}
    assert total.tool_calls == []
    assert TRUNCATED_MARK in str(total.invalid_tool_calls[0]["args"])
    assert [block["args"] for block in total.content_blocks if block["type"] == "invalid_tool_call"] == [
        '{"path": "/ho'
    ]


def test_marked_calls_are_sent_back_unmarked() -> None:
    """The next turn holds the arguments as the server sent them."""
    sent: list[Any] = []
    model = model_of(one_call('{"path": "/ho', finish="length"), sent)
    total = read_from("stream", model)
    model.invoke([HumanMessage("a"), total, HumanMessage("b")])

    assert json.loads(sent[-1]["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {
        "invalid_arguments": '{"path": "/ho'
    }


def test_core_still_calls_the_hook() -> None:
    """`_generate_with_cache` is core's; the day it goes, invalid calls of `invoke(streaming=True)` keep their mark."""
    for name in ("_generate_with_cache", "_agenerate_with_cache"):
        assert list(inspect.signature(getattr(BaseChatModel, name)).parameters) == [
            "self", "messages", "stop", "run_manager", "kwargs"]  # fmt: skip


QUIRKS: dict[str, tuple[Any, list[Any], Any]] = {
    "null": ("null", ["nu", "ll"], {}),
    "white space": ("  ", [" ", " "], {}),
    "encoded twice": ('"{\\"a\\": 1}"', ['"{\\"a', '\\": 1}"'], {"a": 1}),
    "encoded three times": (json.dumps(json.dumps('{"a": 1}')), [json.dumps(json.dumps('{"a": 1}'))], {"a": 1}),
    "an empty string": ('""', ['""'], {}),
    "placeholder, then the value": ('{}{"a": 1}', ["{}", '{"a": 1}'], {"a": 1}),
    "placeholder with a space": ('{ } {"a": 1}', ["{ ", "} ", '{"a', '": 1}'], {"a": 1}),
    "placeholder alone": ("{}", ["{", "}"], {}),
    "wrapped (TGI 2)": (
        '{"function": {"_name": "write", "a": 1}}',
        ['{"func', 'tion": {"_name": "write", "a"', ": 1}}"],
        {"a": 1},
    ),
    "end marker": ('{"a": 1}<|eot_id|>', ['{"a": 1}', "<|eot_id|>"], {"a": 1}),
    "end marker with a newline": ('{"a": 1}\n</s>\n', ['{"a": 1}\n', "</s>\n"], {"a": 1}),
    "a function key of its own": ('{"function": {"a": 1}}', ['{"function', '": {"a": 1}}'], {"function": {"a": 1}}),
    "raw line break": ('{"a": "x\ny"}', ['{"a": "x', '\ny"}'], {"a": "x\ny"}),
    "leading space": ('\n {"a": 1}', ["\n ", '{"a": 1}'], {"a": 1}),
    "object": ({"a": 1}, [{"a": 1}], {"a": 1}),
}


@all_paths
@pytest.mark.parametrize("quirk", QUIRKS)
def test_argument_quirks(path: str, quirk: str) -> None:
    """Arguments are parsed in the same way whether they are streamed or not."""
    whole, pieces, expected = QUIRKS[quirk]

    message = read(path, one_call(whole, pieces=pieces))

    assert (calls_of(message), message.invalid_tool_calls) == ([("write", expected)], [])


@all_paths
@pytest.mark.parametrize(
    "text", ["[1]", "7", "hello", '{"a": 1} {"b": 2}', "[", '"text"', '{"a": 1, b}', '{"a": 1]', "{a: 1}"]
)
def test_invalid_arguments(path: str, text: str) -> None:
    """What is no JSON object is an invalid call on every path; nothing is repaired."""
    message = read(path, one_call(text))

    assert message.tool_calls == []
    assert str(message.invalid_tool_calls[0]["args"]).startswith(text)


PARALLEL: dict[str, list[dict[str, Any]]] = {
    "one index, no ids": [call_delta('{"a": 1}', "add", 0, ""), call_delta('{"b": 2}', "mul", 0, "")],
    "one index, null ids": [call_delta('{"a": 1}', "add", 0), call_delta('{"b": 2}', "mul", 0)],
    "one index, name first": [call_delta("", "add", 0, ""), call_delta('{"a": 1}'), call_delta("", "mul", 0, ""), call_delta('{"b": 2}')],
    "one index, new ids": [call_delta('{"a": 1}', "add", 0, "c1"), call_delta('{"b": 2}', "mul", 0, "c2")],
    "one index, one id": [call_delta('{"a": 1}', "add", 0, "c1"), call_delta('{"b": 2}', "mul", 0, "c1")],
    "no index, no ids": [call_delta('{"a": 1}', "add", None), call_delta('{"b": 2}', "mul", None)],
    "no index, one id": [call_delta('{"a": 1}', "add", None, "c1"), call_delta('{"b": 2}', "mul", None, "c1")],
    "two indices, one id": [call_delta('{"a": 1}', "add", 0, "c1"), call_delta('{"b": 2}', "mul", 1, "c1")],
    "one delta": [{"tool_calls": [*call_delta('{"a": 1}', "add", 0, "")["tool_calls"], *call_delta('{"b": 2}', "mul", 0, "")["tool_calls"]]}],
    "ids null": [call_delta('{"a": 1}', "add", 0, "null"), call_delta('{"b": 2}', "mul", 1, "null")],
}  # fmt: skip


@all_paths
@pytest.mark.parametrize("form", PARALLEL)
def test_parallel_calls(path: str, form: str) -> None:
    """Two calls are two calls, each with an id of its own, whatever of index and id the server leaves out or repeats."""
    deltas = PARALLEL[form]
    identities = [item.get("id") for delta in deltas for item in delta["tool_calls"] if item["function"].get("name")]
    whole = [call("add", '{"a": 1}', identities[0]), call("mul", '{"b": 2}', identities[1])]

    message = read(path, Response({"tool_calls": whole}, deltas, "tool_calls"))

    assert calls_of(message) == [("add", {"a": 1}), ("mul", {"b": 2})]
    assert message.invalid_tool_calls == []
    assert len({found["id"] for found in message.tool_calls}) == 2


@all_paths
def test_one_tool_called_twice_under_one_index(path: str) -> None:
    """The same name again, with arguments, is another call; with an end marker it is not."""
    deltas = [
        call_delta('{"a": 1}', "add", 0, ""),
        call_delta('{"a": 2}', "add", 0, ""),
        call_delta("<|eot_id|>", "add", 0, ""),
    ]
    message = {"tool_calls": [call("add", '{"a": 1}', ""), call("add", '{"a": 2}', "")]}

    assert calls_of(read(path, Response(message, deltas))) == [("add", {"a": 1}), ("add", {"a": 2})]


@streamed_paths
def test_call_repeated_at_the_end(path: str) -> None:
    """A last event that repeats a complete call adds nothing."""
    deltas = [call_delta("", "add", 0, "c1"), call_delta('{"a": 1}'), call_delta('{"a": 1}', "add", 0, "c1")]

    assert calls_of(read(path, Response({}, deltas))) == [("add", {"a": 1})]


@all_paths
@pytest.mark.parametrize("arguments", [None, "", "  "])
def test_call_without_name_and_arguments(path: str, arguments: Any) -> None:
    """An entry that holds no call is none."""
    empty = {"id": "c2", "type": "function"} | ({} if arguments is None else {"function": {"arguments": arguments}})
    whole = {"tool_calls": [call("add", '{"a": 1}'), empty]}
    deltas = [call_delta('{"a": 1}', "add", 0, "c1"), {"tool_calls": [{"index": 1, **empty}]}]

    message = read(path, Response(whole, deltas))

    assert (calls_of(message), message.invalid_tool_calls) == ([("add", {"a": 1})], [])


@all_paths
def test_call_without_name(path: str) -> None:
    """Arguments without a name are an invalid call, never a valid one named ''."""
    deltas = [call_delta('{"a"', None, 0, "c1"), call_delta(": 1}")]

    message = read(path, Response({"tool_calls": [call(None, '{"a": 1}')]}, deltas))

    assert message.tool_calls == []
    assert len(message.invalid_tool_calls) == 1


@all_paths
@pytest.mark.parametrize("identity", ["", "0", 0, None, "null", "None", "undefined", "same"])
def test_ids(path: str, identity: Any) -> None:
    """Ids are unique within a response; those we generate are nine letters and digits, as Mistral's templates require."""
    names = ["add", "mul"]
    whole = {"tool_calls": [call(name, "{}", identity) for name in names]}
    deltas = [{"tool_calls": [{"index": i, **call(name, "{}", identity)}]} for i, name in enumerate(names)]

    ids = [found["id"] for found in read(path, Response(whole, deltas)).tool_calls]

    assert len(set(ids)) == 2
    generated = ids[1:] if identity == "same" else ids
    assert all(re.fullmatch("[0-9A-Za-z]{9}", str(i)) for i in generated)


@all_paths
def test_tgi_leaves_empty_arguments_open(path: str) -> None:
    """TGI streams a call without arguments as `{`: that is `{}`, unless max_tokens truncated it [live 3.3.6]."""
    for known in ({"engine": "tgi"}, {}):
        body = {} if known else {"system_fingerprint": "3.3.6-dev0-native"}
        assert calls_of(read(path, one_call("{", finish="stop") if known else Response(
            {"tool_calls": [call("write", "{")]}, [call_delta("{", "write", identity="c1")], "stop", body), **known)) == [("write", {})]  # fmt: skip
        truncated = read(path, one_call("{", finish="length"), **known)
        assert (truncated.tool_calls, len(truncated.invalid_tool_calls)) == ([], 1)
    assert read(path, one_call("{", finish="stop")).tool_calls == []  # of any other server, it is truncated


@streamed_paths
def test_tgi_call_truncated_before_its_name(path: str) -> None:
    """TGI sends [DONE] alone when max_tokens truncates a call before its name: the finish reason is length."""
    model = model_of(b"data: [DONE]\n\n", engine="tgi", **streaming_of(path))
    bound = model.bind_tools([{"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}])

    assert read_from(path, bound).response_metadata["finish_reason"] == "length"


@pytest.mark.parametrize("path", ["invoke", "ainvoke"])
@pytest.mark.parametrize(("limit", "reason"), [(30, "length"), (31, "stop"), (None, "stop")])
def test_tgi_generates_twice(path: str, limit: int | None, reason: str) -> None:
    """Where TGI reports the finish reason and the count of its first generation, the header describes the text [192]."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = {"system_fingerprint": "3.3.6-dev0-native", "usage": usage(32, 20, 12)}
        response = Response({"content": "1, 2,"}, body=body, choice={"logprobs": {"content": [{"token": "{"}]}})
        return httpx.Response(200, json=response.whole(), headers={"x-generated-tokens": "30", "x-prompt-tokens": "20"})

    transport = httpx.MockTransport(answer)
    clients = {
        "http_client": httpx.Client(transport=transport),
        "http_async_client": httpx.AsyncClient(transport=transport),
    }
    model = ChatHFInference(
        model="m", endpoint_url="http://h/v1", engine="tgi", api_key=False, max_tokens=limit, **clients
    )
    bound = model.bind_tools([{"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}])
    message = read_from(path, bound)

    assert message.response_metadata["finish_reason"] == reason
    assert "logprobs" not in message.response_metadata
    assert message.usage_metadata == {"input_tokens": 20, "output_tokens": 30, "total_tokens": 50}
    plain = read_from(path, model)  # without tools, there is one generation
    assert plain.usage_metadata["output_tokens"] == 12


@all_paths
def test_v1_content(path: str) -> None:
    """Content in the form of output_version="v1" has a truncated call as an invalid one."""
    message = read(path, one_call('{"path": "/ho', finish="length"), output_version="v1")

    assert message.tool_calls == []
    if path not in ("stream", "astream"):
        (block,) = [block for block in message.content if "tool_call" in block["type"]]  # type: ignore[index]
        assert (block["type"], block["args"]) == ("invalid_tool_call", '{"path": "/ho')  # type: ignore[index]


FAILURES: dict[str, tuple[dict[str, Any], dict[str, Any], type[HFInferenceError], int]] = {
    "top level": ({"error": {"message": "GPU on fire", "code": 502}}, {}, ServerError, 502),
    "top level, text": ({"error": "GPU on fire"}, {}, ServerError, 500),
    "code as text": ({"error": {"message": "GPU on fire", "code": "429"}}, {}, RateLimitError, 429),
    "status as text": ({"error": {"message": "GPU on fire", "status": "503"}}, {}, ServerError, 503),
    "code as a float": ({"error": {"message": "GPU on fire", "code": 429.0}}, {}, RateLimitError, 429),
    "code as a word": ({"error": {"message": "GPU on fire", "code": "rate_limit_exceeded"}}, {}, RateLimitError, 429),
    "in the choice": ({}, {"error": {"message": "GPU on fire", "code": 502}}, ServerError, 502),
    "in the choice, finished": ({}, {"error": {"message": "GPU on fire", "code": 502}, "finish_reason": "error"}, ServerError, 502),
    "in the choice, not finished": ({}, {"error": {"message": "GPU on fire", "code": 502}, "finish_reason": None}, ServerError, 502),
    "in the delta or message": ({}, {"delta": {"error": {"message": "GPU on fire", "code": 502}},
                                     "message": {"content": "Hal", "error": {"message": "GPU on fire", "code": 502}}}, ServerError, 502),
    "within x_groq": ({"x_groq": {"error": "GPU on fire"}}, {}, ServerError, 500),
    "finish_reason": ({}, {"finish_reason": "error"}, ServerError, 500),
    "finish_reason of SGLang": ({}, {"finish_reason": "abort"}, ServerError, 500),
}  # fmt: skip


@all_paths
@pytest.mark.parametrize("failure", FAILURES)
def test_errors_under_status_200(path: str, failure: str) -> None:
    """An error is raised with the server's message and status, wherever it stands, with the text that came before it."""
    body, choice, kind, status = FAILURES[failure]
    message = {} if path in STREAMED else {"message": {"content": "Hal"}} | choice
    words = "GPU on fire" if "finish_reason" not in failure else "ended the answer with"

    with pytest.raises(HFInferenceError, match=words) as caught:
        read(path, Response({"content": "Hal"}, [{"content": "Hal"}], "stop", body, message or choice))

    error: Any = caught.value
    assert error.partial.text == "Hal"
    assert error.status_code == status
    mapped = error.__cause__ if isinstance(error, StreamError) else error
    assert isinstance(mapped, kind)


@all_paths
@pytest.mark.parametrize("failure", FAILURES)
def test_errors_before_any_text(path: str, failure: str) -> None:
    """Before any output, an error is what its status says, as if it had come with that status."""
    body, choice, kind, status = FAILURES[failure]
    empty = (
        {"message": {"content": ""}} if "message" not in choice else {"message": {**choice["message"], "content": ""}}
    )

    with pytest.raises(kind) as caught:
        read(path, Response({"content": ""}, [], "stop", body, choice | (empty if path not in STREAMED else {})))

    assert isinstance(caught.value, APIStatusError)
    assert caught.value.status_code == status


@all_paths
@pytest.mark.parametrize("error", [None, {}, "", {"code": 0, "message": ""}, False])
def test_no_error(path: str, error: Any) -> None:
    """An error that is null, empty or filled with zeros is none."""
    found = read(path, Response({"content": "Hi"}, body={"error": error}, choice={"error": error}))

    assert found.text == "Hi"


@streamed_paths
def test_text_of_the_failing_event_is_kept(path: str) -> None:
    """Text that comes with the error itself is in `partial`."""
    choice = {"delta": {"content": " words"}, "error": {"message": "gone"}}

    with pytest.raises(StreamError, match="gone") as caught:
        read(path, Response({}, [{"content": "Last"}], None, choice=choice))

    assert caught.value.partial is not None
    assert caught.value.partial.text == "Last words"


@streamed_paths
def test_partial_holds_no_repaired_call(path: str) -> None:
    """A call that was interrupted is invalid in `partial`, too."""
    stream = Response({}, [call_delta("", "write", identity="c1"), call_delta('{"path": "/ho')]).events()[:-1]
    raw = b"".join(b"data: " + json.dumps(row).encode() + b"\n\n" for row in stream)

    with pytest.raises(StreamError, match="broke off") as caught:
        read(path, raw)

    partial = caught.value.partial
    assert partial is not None
    assert (partial.tool_calls, partial.invalid_tool_calls[0]["args"]) == ([], '{"path": "/ho')


@streamed_paths
def test_call_interrupted_before_its_arguments(path: str) -> None:
    """A stream that ends after a call's name, without a finish_reason, was interrupted: no call without arguments."""
    raw = b"data: " + json.dumps(Response({}, [call_delta("", "write", identity="c1")]).events()[0]).encode() + b"\n\n"

    with pytest.raises(StreamError, match="broke off"):
        read(path, raw)


@all_paths
@pytest.mark.parametrize(
    "arguments", ['{"a": "\\ud83d"}', '{"a": NaN}', '{"a": [Infinity, {"b": -Infinity}]}', '{"\\udc00": 1}']
)
def test_what_was_parsed_can_be_sent_back(path: str, arguments: str) -> None:
    """Arguments with a lone surrogate or NaN are sent back as JSON that every server can parse."""
    sent: list[Any] = []
    model = model_of(one_call(arguments), sent, **streaming_of(path))
    message = read_from(path, model)
    model.invoke([HumanMessage("a"), message, ToolMessage("done", tool_call_id=str(message.tool_calls[0]["id"]))])

    back = sent[-1]["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert isinstance(json.loads(back, parse_constant=lambda name: pytest.fail(f"{name} on the wire")), dict)
    back.encode()


@pytest.mark.parametrize("text", ["a\ud83d", "\ude00", "\ud83d\ude00"])
def test_results_of_tools_can_be_sent(text: str) -> None:
    """What a tool or a user makes of such text can be sent, too."""
    sent: list[Any] = []
    asked = AIMessage(text, tool_calls=[{"name": "f", "args": {"x": text, text: float("nan")}, "id": "c1"}])
    model_of(Response({"content": "Hi"}), sent).invoke(
        [HumanMessage(text), asked, ToolMessage(text, tool_call_id="c1")]
    )

    expected = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert [row["content"] for row in sent[0]["messages"]] == [expected] * 3
    assert json.loads(sent[0]["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {
        "x": expected,
        expected: None,
    }


@all_paths
@pytest.mark.parametrize(("pieces", "text"), [(["\ud83d", "\ude00"], "😀"), (["a\ud83d"], "a\ufffd"), (["\ude00b"], "\ufffdb"),
                                              (["\ud83d", "x"], "\ufffdx"), (["\ud83d", "\ud83d", "\ude00"], "\ufffd😀")])  # fmt: skip
@pytest.mark.parametrize("key", ["content", "reasoning_content"])
def test_lone_surrogates(path: str, pieces: list[str], text: str, key: str) -> None:
    """Halves of a pair in two deltas are joined; a half that stays alone is U+FFFD."""
    message = read(path, Response({key: "".join(pieces)}, [{key: piece} for piece in pieces], "length"))

    found = message.text if key == "content" else message.additional_kwargs["reasoning_content"]
    assert found == text


@all_paths
def test_surrogates_in_arguments(path: str) -> None:
    """So are halves in the pieces of arguments."""
    message = read(path, one_call('{"a": "\ud83d\ude00"}', pieces=['{"a": "\ud83d', '\ude00"}']))

    assert calls_of(message) == [("write", {"a": "😀"})]


@streamed_paths
@pytest.mark.parametrize("last", [{"content": "Hello"}, {"role": "assistant", "content": "Hello", "tool_calls": None}])
def test_complete_message_in_the_last_event(path: str, last: dict[str, Any]) -> None:
    """A last event that holds the complete message adds nothing to the deltas."""
    for delta in ({"delta": {}}, {"delta": None}):
        response = Response({}, [{"content": "Hel"}, {"content": "lo"}], choice={**delta, "message": last})
        assert read(path, response).text == "Hello"
    reasoned = Response({}, [{"reasoning": "Hm"}, {"content": "Hello"}, call_delta("{}", "f", 0, "c1")],
                        choice={"message": {**last, "reasoning": "Hm", "tool_calls": [call("f", "{}")]}})  # fmt: skip
    found = read(path, reasoned)
    assert (found.text, found.additional_kwargs["reasoning_content"], calls_of(found)) == ("Hello", "Hm", [("f", {})])


@streamed_paths
def test_other_output_is_not_repeated(path: str) -> None:
    """A refusal or an annotation that the complete message repeats is there once; what only it holds is kept."""
    found = read(
        path, Response({}, [{"refusal": "No."}], choice={"message": {"refusal": "No.", "annotations": [{"type": "x"}]}})
    )

    assert found.additional_kwargs == {"refusal": "No.", "annotations": [{"type": "x"}]}


@streamed_paths
def test_messages_instead_of_deltas(path: str) -> None:
    """A stream of messages is read as one of deltas."""
    rows = [{"choices": [{"message": {"content": piece}}]} for piece in ("Hel", "lo")]
    raw = b"".join(b"data: " + json.dumps(row).encode() + b"\n\n" for row in rows) + b"data: [DONE]\n\n"

    assert read(path, raw).text == "Hello"


FRAGMENTS = [
    {"type": "reasoning.text", "text": "Let ", "index": 0, "format": "anthropic-claude-v1"},
    {"type": "reasoning.text", "text": "me.", "index": 0, "format": "anthropic-claude-v1"},
    {"type": "reasoning.text", "signature": "sig", "index": 0, "format": "anthropic-claude-v1"},
    {"type": "reasoning.encrypted", "data": "xyz", "index": 1},
]
MERGED = [
    {"type": "reasoning.text", "text": "Let me.", "index": 0, "format": "anthropic-claude-v1", "signature": "sig"},
    {"type": "reasoning.encrypted", "data": "xyz", "index": 1},
]


@all_paths
def test_reasoning_details(path: str) -> None:
    """Fragments of reasoning details are merged by index, and sent back by `replay_reasoning`."""
    deltas: list[dict[str, Any]] = [{"reasoning_details": [row]} for row in FRAGMENTS]
    sent: list[Any] = []
    response = Response({"content": "Yes", "reasoning_details": MERGED}, [*deltas, {"content": "Yes"}])
    model = model_of(response, sent, replay_reasoning=True, **streaming_of(path))
    message = read_from(path, model)
    model.invoke([HumanMessage("a"), message, HumanMessage("b")])

    assert message.additional_kwargs["reasoning_details"] == MERGED
    assert message.additional_kwargs["reasoning_content"] == "Let me."
    assert sent[-1]["messages"][1]["reasoning_details"] == MERGED


@all_paths
def test_thinking_parts(path: str) -> None:
    """Mistral's thinking parts are sent back in the content, where they came from."""

    def thinking(text: str) -> dict[str, Any]:
        return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}

    whole = {"content": [thinking("Let me."), {"type": "text", "text": "Yes"}]}
    sent: list[Any] = []
    response = Response(whole, [{"content": [thinking("Let ")]}, {"content": [thinking("me.")]}, {"content": "Yes"}])
    model = model_of(response, sent, replay_reasoning=True, **streaming_of(path))
    message = read_from(path, model)
    model.invoke([HumanMessage("a"), message, HumanMessage("b")])

    assert (message.text, message.additional_kwargs["reasoning_content"]) == ("Yes", "Let me.")
    assert sent[-1]["messages"][1] == {"role": "assistant", **whole}


@streamed_paths
def test_logprobs(path: str) -> None:
    """The log probabilities of all events arrive."""
    rows = [{"token": token, "logprob": -0.5} for token in "abc"]
    events = [{"choices": [{"delta": {"content": row["token"]}, "logprobs": {"content": [row]}}]} for row in rows]
    raw = b"".join(b"data: " + json.dumps(row).encode() + b"\n\n" for row in events) + b"data: [DONE]\n\n"

    assert read(path, raw).response_metadata["logprobs"] == {"content": rows}


def usage(total: int, inputs: int, outputs: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": inputs, "completion_tokens": outputs, "total_tokens": total, **more}


USAGES: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "within x_groq": ({"x_groq": {"usage": usage(3, 1, 2)}}, (1, 2, 3)),
    "within the choice": ({"choices usage": usage(3, 1, 2)}, (1, 2, 3)),
    "reasoning apart (xAI)": ({"usage": usage(241, 12, 1, completion_tokens_details={"reasoning_tokens": 228})}, (12, 229, 241)),
    "reasoning apart, no total": (
        {"usage": {"prompt_tokens": 12, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 228}}}, (12, 229, 241)),
    "reasoning at the top": ({"usage": usage(241, 12, 1, reasoning_tokens=228)}, (12, 229, 241)),
    "audio apart": ({"usage": usage(30, 10, 5, prompt_tokens_details={"audio_tokens": 15})}, (25, 5, 30)),
    "audio out apart": ({"usage": usage(30, 10, 5, completion_tokens_details={"audio_tokens": 15})}, (10, 20, 30)),
    "audio in seconds (Mistral)": ({"usage": usage(30, 10, 5, prompt_audio_seconds=3)}, (25, 5, 30)),
    "reasoning within": ({"usage": usage(30, 10, 20, completion_tokens_details={"reasoning_tokens": 15})}, (10, 20, 30)),
    "names of the Responses API": (
        {"usage": {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30, "input_tokens_details": {"cached_tokens": 4},
                   "output_tokens_details": {"reasoning_tokens": 5}}}, (10, 20, 30)),
}  # fmt: skip


@all_paths
@pytest.mark.parametrize("form", USAGES)
def test_usage(path: str, form: str) -> None:
    """Usage is read wherever it stands, and adds up to the total."""
    body, counts = USAGES[form]
    choice = {"usage": body["choices usage"]} if "choices usage" in body else {}
    found: Any = read(path, Response({"content": "Hi"}, body={} if choice else body, choice=choice)).usage_metadata

    assert (found["input_tokens"], found["output_tokens"], found["total_tokens"]) == counts
    if form == "names of the Responses API":
        assert (found["input_token_details"], found["output_token_details"]) == ({"cache_read": 4}, {"reasoning": 5})
    if form.startswith("reasoning apart"):
        assert found["output_token_details"]["reasoning"] == 228


@all_paths
def test_raw_usage(path: str) -> None:
    """What a server counts beyond tokens is in `token_usage` on every path."""
    raw = usage(3, 1, 2, cost=0.5, queue_time=0.1)

    assert read(path, Response({"content": "Hi"}, body={"usage": raw})).response_metadata["token_usage"] == raw


@streamed_paths
@pytest.mark.parametrize("first", [{"id": "", "model": ""}, {"id": None, "model": None}, {}])
def test_metadata_after_the_first_event(path: str, first: dict[str, Any]) -> None:
    """The first id and model that are not empty count (Azure sends neither with its first event)."""
    rows = [
        {**first, "choices": [], "prompt_filter_results": []},
        *Response({}, [{"content": "a"}, {"content": "b"}]).events(),
    ]
    raw = b"".join(b"data: " + json.dumps(row).encode() + b"\n\n" for row in rows) + b"data: [DONE]\n\n"

    metadata = read(path, raw).response_metadata
    assert (metadata["id"], metadata["model_name"]) == ("r1", "m")


def test_content_filter_without_message() -> None:
    """A choice that the content filter left without a message is an empty message with that finish reason."""
    for message in ({}, {"message": None}):
        choice = {"index": 0, "finish_reason": "content_filter", **message}
        response = Response({}, choice=choice)
        whole = response.whole()
        if not message:
            del whole["choices"][0]["message"]
        response.whole = lambda found=whole: found  # type: ignore[method-assign,misc]
        assert read("invoke", response).response_metadata["finish_reason"] == "content_filter"


@all_paths
def test_custom_tool_calls(path: str) -> None:
    """The input of OpenAI's custom tools is the argument `__arg1`; truncated, the call is invalid."""
    custom = {"id": "c1", "type": "custom", "custom": {"name": "code", "input": "print(1)"}}
    deltas = [{"tool_calls": [{"index": 0, **custom, "custom": {"name": "code", "input": "pri"}}]},
              {"tool_calls": [{"index": 0, "custom": {"input": "nt(1)"}}]}]  # fmt: skip

    assert calls_of(read(path, Response({"tool_calls": [custom]}, deltas))) == [("code", {"__arg1": "print(1)"})]
    assert read(path, Response({"tool_calls": [custom]}, deltas, "length")).tool_calls == []


@all_paths
def test_legacy_function_call(path: str) -> None:
    """`function_call`, OpenAI's form before tools, is a tool call, streamed too; filled with zeros it is none."""
    deltas = [
        {"function_call": {"name": "add", "arguments": ""}},
        {"function_call": {"arguments": '{"a"'}},
        {"function_call": {"arguments": ": 1}"}},
    ]
    message = {"function_call": {"name": "add", "arguments": '{"a": 1}'}}

    assert calls_of(read(path, Response(message, deltas, "function_call"))) == [("add", {"a": 1})]
    zeros = read(path, Response({"content": "Hi", "function_call": {"name": "", "arguments": ""}}))
    assert (zeros.text, zeros.tool_calls, zeros.invalid_tool_calls) == ("Hi", [], [])


@all_paths
def test_sources_and_channel(path: str) -> None:
    """`citations` and `search_results` are in additional_kwargs, once; the channel is in response_metadata."""
    found = {"citations": ["https://a", "https://b"], "search_results": [{"title": "A"}]}
    message = read(path, Response({"content": "Hi", "channel": "final"}, body=found))

    assert {key: message.additional_kwargs[key] for key in found} == found
    assert message.response_metadata["channel"] == "final"


@pytest.mark.parametrize("path", [p for p in PATHS if "v3" not in p])
def test_errors_have_a_response(path: str) -> None:
    """Callback handlers find status, headers, body and request id of an error where they look for those of an HTTP library."""
    heard: list[Any] = []

    class Handler(BaseCallbackHandler):
        def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
            heard.append((error, kwargs.get("response")))

    body = {"error": {"message": "GPU on fire", "code": 502}}
    with pytest.raises(HFInferenceError):
        read(path, Response({"content": "Hal"}, body=body), callbacks=[Handler()])

    error, result = heard[0]
    assert (error.response.status_code, error.response.json()["error"]) == (502, body["error"])
    if result is not None and result.generations:
        metadata = result.generations[-1][0].message.response_metadata
        assert (metadata["status_code"], metadata["body"]["error"]) == (502, body["error"])
    if path in ("invoke", "ainvoke"):
        assert error.response.headers["x-request-id"] == "req-1"


def test_arguments_name_the_cause() -> None:
    """The error of an invalid call says what was wrong, and what to do about it."""
    assert parse_arguments('{"a": 1', truncated="length")[1] == (
        "arguments are truncated: the response reached max_tokens; raise max_tokens, or ask for less")  # fmt: skip
    assert str(parse_arguments('{"a": 1')[1]).startswith("arguments are not JSON: ")
    assert parse_arguments("[1]")[1] == "arguments are a list, not an object"


@pytest.mark.parametrize(("text", "value"), [
    ('{"a": 1}', {"a": 1}), ('```json\n{"a": 1}\n```', {"a": 1}), ('Here:\n```\n{"a": 1}\n```\nDone.', {"a": 1}),
    ('{"a": "```"}', {"a": "```"}), ('```json\n{"a": "```x"}\n```', {"a": "```x"}), ('{"a": 1}<|im_end|>', {"a": 1}),
        ('`{"a": 1}`', {"a": 1}),
    (' [1, 2]\n', [1, 2]), ('"{\\"a\\": 1}"', {"a": 1}), ("42", 42), ('{"a": "x\ny"}', {"a": "x\ny"}), ('```json\n{"a": 1}', {"a": 1}),
])  # fmt: skip
def test_complete_json(text: str, value: Any) -> None:
    """JSON is found in code blocks and before end markers."""
    assert parse_complete_json(text, {}) == value


@pytest.mark.parametrize(
    "text", ['{"a": 1', '{"a": [1, 2', "", "Hello", '```json\n{"a": "x', '"{\\"a\\": 1', "[", '{"a": tru']
)
@pytest.mark.parametrize("reason", ["stop", "length", None])
def test_incomplete_json(text: str, reason: str | None) -> None:
    """What is not closed is an error, which names max_tokens where it was reached."""
    with pytest.raises(ValueError, match="max_tokens" if reason == "length" else "not complete JSON"):
        parse_complete_json(text, {"finish_reason": reason})


def test_truncated_number_alone() -> None:
    """A scalar in a truncated response may be the start of another: it is not trusted."""
    with pytest.raises(ValueError, match="max_tokens"):
        parse_complete_json("4", {"finish_reason": "length"})
