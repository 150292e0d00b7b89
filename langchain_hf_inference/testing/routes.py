"""The paths of the scripted server: a request's body -> a reply. Pure; `server.py` does the sending."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from typing import Any

from langchain_hf_inference.testing import facts, script
from langchain_hf_inference.testing.facts import CREATED, TEI_BATCH, Options, Reply
from langchain_hf_inference.testing.strict import CHAT_FIELDS, RefusedError, check_chat, check_fields

FINGERPRINT = "scripted"
_COMPLETION_FIELDS = (CHAT_FIELDS - {"messages", "tools", "tool_choice"}) | {
    "prompt",
    "echo",
    "suffix",
    "best_of",
    "logprobs",
}


def served(name: Any, options: Options) -> str:
    """Give the model's name as it is answered: it begins with "scripted"."""
    if options.models and name not in options.models:
        raise RefusedError(f"The model `{name}` does not exist.", "model")
    text = str(name or "chat")
    return text if text.startswith("scripted") else f"scripted/{text}"


def chat(body: dict[str, Any], options: Options) -> Reply:
    """`POST /v1/chat/completions`."""
    check_chat(body, options.more_fields)
    model = served(body.get("model"), options)
    given = len(script.prompt_pieces(body))
    if options.context_length is not None and given > options.context_length:
        raise RefusedError(
            f"This model's maximum context length is {options.context_length} tokens. However, your request has {given} "
            "input tokens. Please reduce the length of the input messages.",
            "input_tokens",
        )
    answers = [script.chat_answer(body, position) for position in range(body.get("n", 1))]
    usage = _usage(given, answers)
    head = {"id": "chatcmpl-scripted", "created": CREATED, "model": model, "system_fingerprint": FINGERPRINT}
    if not body.get("stream"):
        choices = [_choice(i, answer, body) for i, answer in enumerate(answers)]
        return Reply({**head, "object": "chat.completion", "choices": choices, "usage": usage})
    head["object"] = "chat.completion.chunk"
    events = [
        {**head, "choices": [{"index": i, "delta": delta, "finish_reason": reason, **more}]}
        for i, answer in enumerate(answers)
        for delta, reason, more in _deltas(answer, body)
    ]
    if body.get("stream_options", {}).get("include_usage"):
        events.append({**head, "choices": [], "usage": usage})
    return Reply(events=events)


def _choice(index: int, answer: script.Answer, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None if answer.calls else answer.text}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.calls:
        message["tool_calls"] = answer.calls
    logprobs = _logprobs(script.tokens(answer.text), body)
    return {"index": index, "message": message, "finish_reason": answer.finish_reason, **logprobs}


def _deltas(answer: script.Answer, body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str | None, dict[str, Any]]]:
    yield {"role": "assistant", "content": ""}, None, {}
    for piece in script.tokens(answer.reasoning):
        yield {"reasoning_content": piece}, None, {}
    for piece in script.tokens(answer.text) if not answer.calls else ():
        yield {"content": piece}, None, _logprobs([piece], body)
    for i, call in enumerate(answer.calls):
        written = call["function"]["arguments"]
        first = {"index": i, **call, "function": {"name": call["function"]["name"], "arguments": ""}}
        yield {"tool_calls": [first]}, None, {}
        for at in range(0, len(written), 8):
            yield {"tool_calls": [{"index": i, "function": {"arguments": written[at : at + 8]}}]}, None, {}
    yield {}, answer.finish_reason, {}


def _logprobs(pieces: list[str], body: dict[str, Any]) -> dict[str, Any]:
    if not body.get("logprobs"):
        return {}
    top = [{"token": "scripted", "logprob": -1.0 - i, "bytes": None} for i in range(body.get("top_logprobs", 0))]
    rows = [{"token": p, "logprob": -0.1, "bytes": list(p.encode()), "top_logprobs": top} for p in pieces]
    return {"logprobs": {"content": rows}}


def _usage(given: int, answers: list[script.Answer]) -> dict[str, Any]:
    thought = sum(len(script.tokens(answer.reasoning)) for answer in answers)
    written = thought + sum(
        len(script.tokens(answer.text)) + sum(len(call["function"]["arguments"]) // 4 + 1 for call in answer.calls)
        for answer in answers
    )
    return {
        "prompt_tokens": given, "completion_tokens": written, "total_tokens": given + written,
        "prompt_tokens_details": {"cached_tokens": given // 2}, "completion_tokens_details": {"reasoning_tokens": thought},
    }  # fmt: skip


def completions(body: dict[str, Any], options: Options) -> Reply:
    """`POST /v1/completions`."""
    check_fields(body, _COMPLETION_FIELDS | options.more_fields)
    model, prompts = served(body.get("model"), options), body.get("prompt")
    prompts = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(prompts, list) or not prompts or not all(isinstance(p, str) for p in prompts):
        raise RefusedError("prompt must be a string or a list of strings", "prompt")
    answers = [_continued(prompt, body) for prompt in prompts for _ in range(body.get("n", 1))]
    usage = _usage(sum(len(script.tokens(p)) for p in prompts), answers)
    head = {"id": "cmpl-scripted", "object": "text_completion", "created": CREATED, "model": model}
    if not body.get("stream"):
        rows = [
            {"index": i, "text": a.text, "finish_reason": a.finish_reason, "logprobs": None}
            for i, a in enumerate(answers)
        ]
        return Reply({**head, "choices": rows, "usage": usage})
    events = [
        {**head, "choices": [{"index": i, "text": text, "finish_reason": reason}]}
        for i, answer in enumerate(answers)
        for text, reason in [*[(piece, None) for piece in script.tokens(answer.text)], ("", answer.finish_reason)]
    ]
    return Reply(events=[*events, {**head, "choices": [], "usage": usage}])


def _continued(prompt: str, settings: dict[str, Any]) -> script.Answer:
    answer = script.Answer(f" and so on, said the scripted server after {len(script.tokens(prompt))} words.")
    return script.limited(
        answer, settings.get("stop", []), settings.get("max_tokens") or settings.get("max_new_tokens")
    )


def generate(body: dict[str, Any], options: Options, *, stream: bool = False) -> Reply:
    """TGI's `POST /generate`, `/generate_stream` and `/`."""
    prompt, settings = body.get("inputs"), body.get("parameters") or {}
    if not isinstance(prompt, str):
        raise RefusedError("missing field `inputs`", "inputs")
    for name, low in (("temperature", 0), ("top_p", 0), ("repetition_penalty", 0), ("max_new_tokens", 0), ("top_k", 0)):
        if settings.get(name) is not None and settings[name] <= low:
            raise RefusedError(f"`{name}` must be strictly positive", name)
    if settings.get("top_p") is not None and settings["top_p"] >= 1:
        raise RefusedError("`top_p` must be > 0.0 and < 1.0", "top_p")
    answer = _continued(prompt, settings)
    pieces, text = script.tokens(answer.text), answer.text
    full = prompt + text if settings.get("return_full_text") else text
    rows = [{"id": i, "text": piece, "logprob": -0.1, "special": False} for i, piece in enumerate(pieces)]
    details: dict[str, Any] = {"finish_reason": "length" if answer.finish_reason == "length" else "eos_token",
               "generated_tokens": len(pieces), "seed": settings.get("seed")}  # fmt: skip
    if stream:
        events: list[Any] = [
            {"index": i + 1, "token": row, "generated_text": None, "details": None} for i, row in enumerate(rows)
        ]
        end = {"id": 2, "text": "</s>", "logprob": -0.1, "special": True}
        events.append({"index": len(rows) + 1, "token": end, "generated_text": full, "details": details})
        return Reply(events=events, done=False)
    whole: dict[str, Any] = {"generated_text": full}
    if settings.get("details") or settings.get("decoder_input_details"):
        prefill = script.tokens(prompt) if settings.get("decoder_input_details") else []
        whole["details"] = {**details, "tokens": rows,
                            "prefill": [{"id": i, "text": p, "logprob": None} for i, p in enumerate(prefill)]}  # fmt: skip
    return Reply(whole)


def _texts(value: Any, name: str) -> list[str]:
    rows = [value] if isinstance(value, str) else value
    if not isinstance(rows, list) or not rows or not all(isinstance(r, str) and r for r in rows):
        raise RefusedError(f"{name} must be a non-empty string or a list of them", name)
    return rows


def embeddings(body: dict[str, Any], options: Options) -> Reply:
    """OpenAI's `POST /v1/embeddings`."""
    check_fields(body, frozenset({"model", "input", "encoding_format", "dimensions", "user"}))
    texts = _texts(body.get("input"), "input")
    size = body.get("dimensions", options.dimensions)
    vectors: list[Any] = [script.embedding(text, size) for text in texts]
    if body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in vectors]
    rows = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    count = sum(len(script.tokens(text)) for text in texts)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return Reply({"object": "list", "data": rows, "model": served(body.get("model"), options), "usage": usage})


def embed(body: dict[str, Any], options: Options) -> Reply:
    """TEI's `POST /embed`."""
    texts = _texts(body.get("inputs"), "inputs")
    if len(texts) > TEI_BATCH:
        raise RefusedError(f"batch size {len(texts)} > maximum allowed batch size {TEI_BATCH}", "inputs")
    prefix = f"{body['prompt_name']}: " if body.get("prompt_name") else ""
    size, normalize = body.get("dimensions") or options.dimensions, body.get("normalize", True)
    return Reply([script.embedding(prefix + text, size, normalize=normalize) for text in texts])


def rerank(body: dict[str, Any], options: Options) -> Reply:
    """TEI's `POST /rerank`: by the share of words in common."""
    texts, query = _texts(body.get("texts"), "texts"), _texts(body.get("query"), "query")[0]
    rows: list[dict[str, Any]] = [{"index": i, "score": script.overlap(query, text)} for i, text in enumerate(texts)]
    if body.get("return_text"):
        rows = [{**row, "text": texts[int(row["index"])]} for row in rows]
    return Reply(sorted(rows, key=lambda row: -float(row["score"])))


def predict(body: dict[str, Any], options: Options) -> Reply:
    """TEI's `POST /predict`: "positive" or "negative", by whether a word such as "not" is in the text."""
    inputs = body.get("inputs")
    batch = isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], list)
    answers = []
    for item in inputs if batch and isinstance(inputs, list) else [inputs]:
        text = " ".join(item) if isinstance(item, list) else str(item)
        score = 0.1 if {"not", "bad", "no", "never"} & set(text.lower().split()) else 0.9
        labels: list[dict[str, Any]] = [
            {"label": "positive", "score": score},
            {"label": "negative", "score": 1 - score},
        ]
        answers.append(sorted(labels, key=lambda row: -float(str(row["score"]))))
    return Reply(answers if batch else answers[0])


FEATURES = "/pipeline/feature-extraction"
"""How the router's paths for embeddings by hf-inference end."""


def route_of(path: str) -> Callable[[dict[str, Any], Options], Reply | None] | None:
    """Give what answers a path; None where nothing does."""
    return embed if path.endswith(FEATURES) else POSTS.get(path)


POSTS: dict[str, Callable[[dict[str, Any], Options], Reply | None]] = {
    "/v1/chat/completions": chat,
    "/v1/completions": completions,
    "/v1/embeddings": embeddings,
    "/generate": generate,
    "/generate_stream": lambda body, options: generate(body, options, stream=True),
    "/": lambda body, options: _root(body, options),
    "/embed": embed,
    "/rerank": rerank,
    "/predict": predict,
    "/chat_tokenize": facts.chat_tokenize,
    "/tokenize": facts.tokenize,
}


def _root(body: dict[str, Any], options: Options) -> Reply:
    reply = generate(body, options, stream=bool(body.get("stream")))
    return reply if reply.events is not None else Reply([reply.body])
