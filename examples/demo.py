"""A tour: invoke, stream, tools in a loop, structured output, reasoning, batch; and what went over the wire.

make demo                                         an embedded real engine (mlx-lm) with a tiny model of ours
HF_TOKEN=hf_... make demo                         the Hugging Face router (HF_MODEL chooses the model)
HF_INFERENCE_URL=http://localhost:8080 make demo  your own server
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import httpx
from langchain.agents import create_agent
from pydantic import BaseModel

from langchain_hf_inference import ChatHFInference
from served import served


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def title(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


def sent(request: httpx.Request) -> None:
    """Show a request in one line: the body less what is always there."""
    if request.method == "GET":
        print(f"  -> GET {request.url.path}")  # the server is asked what it is
        return
    body = json.loads(request.content)
    last = body["messages"][-1]
    short = {key: value for key, value in body.items() if key not in ("model", "messages", "tools")}
    tools = [tool["function"]["name"] for tool in body.get("tools", [])]
    line = f"{json.dumps(last, ensure_ascii=False)[:110]} {f'tools {tools} ' if tools else ''}{json.dumps(short)[:90]}"
    print(f"  -> POST {request.url.path} {line}")


def received(response: httpx.Response) -> None:
    """Show an answer in one line; a stream only by its kind, since it is still to come."""
    kind = response.headers.get("content-type", "").partition(";")[0]
    if response.request.method == "GET" or kind == "text/event-stream":
        print(f"  <- {response.status_code} {kind}")
        return
    choice = json.loads(response.read())["choices"][0]
    said = {key: value for key, value in choice["message"].items() if value and key != "role"}
    print(f"  <- {response.status_code} {choice['finish_reason']}: {json.dumps(said, ensure_ascii=False)[:140]}")


def tour(arguments: dict[str, Any]) -> None:
    client = httpx.Client(event_hooks={"request": [sent], "response": [received]}, timeout=120)
    llm = ChatHFInference(**arguments, temperature=0, max_tokens=400, http_client=client)

    title("Invoke")
    message = llm.invoke("What is the capital of France?")
    print(f"  {message.text!r}  {message.usage_metadata}")

    title("Stream")
    pieces = [chunk.text for chunk in llm.stream("Write me 2 haikus. Only include the haikus.")]
    print("  " + "|".join(pieces).replace("\n", "\n  "))
    print(f"  ({len([p for p in pieces if p])} pieces)")

    title("An agent that calls tools in a loop")
    for message in create_agent(llm, [add, multiply]).invoke(
        {"messages": [("user", "Add 3 and 4, then multiply by 5.")]}
    )["messages"]:
        calls = [f"{call['name']}({call['args']})" for call in getattr(message, "tool_calls", [])]
        print(f"  {message.type:>6}: {message.text or ', '.join(calls)}")

    title("Structured output: Pydantic in, Pydantic out")
    print(f"  {llm.with_structured_output(Person).invoke('Alice is 30 years old.')!r}")

    title("Reasoning, kept apart from the answer")
    message = llm.bind(chat_template_kwargs={"enable_thinking": True}).invoke("What is the capital of Italy?")
    print(
        f"  thought {message.additional_kwargs.get('reasoning_content', '').strip()[:200]!r}, said {message.text.strip()!r}"
    )

    title("Batch")
    for message in llm.batch([f"What is the capital of {country}?" for country in ("Spain", "Norway", "Japan")]):
        print(f"  {message.text.strip()}")


def main() -> None:
    begun = time.monotonic()
    with served(quiet=False) as arguments:
        tour(arguments)
    print(f"\nDone in {time.monotonic() - begun:.0f} s.")


if __name__ == "__main__":
    main()
