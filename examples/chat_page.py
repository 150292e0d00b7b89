"""A page in the browser that asks two models at once, with their parameters, and shows the code that does the same.

    pip install 'langchain-hf-inference[page]' && python examples/chat_page.py

A model is a Hub id ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B:fastest") or the URL of a server. Without a token the left one is the tiny
model on this machine, the right one the scripted server, which is no model.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from pydantic import ValidationError

from langchain_hf_inference import ChatHFInference, HFInferenceError
from langchain_hf_inference.nodes.action import error_envelope
from langchain_hf_inference.testing import InferenceServer
from served import served

NAMES = ("temperature", "max_tokens", "top_p", "frequency_penalty", "presence_penalty", "seed")
CSS = "footer {display: none !important} .facts {font-size: 0.8em; opacity: 0.7}"


def settings_of(values: tuple[Any, ...]) -> dict[str, Any]:
    """Give the settings that are set: an empty field leaves the choice to the server."""
    given = dict(zip(NAMES, values, strict=True))
    seed = str(given.pop("seed") or "").strip()
    return {**given, **({"seed": int(seed) if seed.isdigit() else seed} if seed else {})}


def arguments_of(model: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Give the arguments of a model: a URL is a server, anything else a Hub id."""
    is_server = model.startswith(("http://", "https://"))
    return {"endpoint_url" if is_server else "model": model.strip(), **settings}


def code_of(model: str, system: str, question: str, talk: list[dict[str, Any]], *values: Any) -> str:
    """Write the code that asks the same, or what was asked last."""
    last = [turn["content"] for turn in talk if turn["role"] == "user"][-1:]
    question = question or (last[0] if last and isinstance(last[0], str) else last[0][0]["text"] if last else "Hello")
    given = "".join(f"    {name}={value!r},\n" for name, value in arguments_of(model, settings_of(values)).items())
    asked = repr(question) if not system else f"[\n    ('system', {system!r}),\n    ('human', {question!r}),\n]"
    return (
        "from langchain_hf_inference import ChatHFInference\n\n"
        f"llm = ChatHFInference(\n{given})\n"
        f"for chunk in llm.stream({asked}):\n"
        '    print(chunk.text, end="", flush=True)\n'
    )


async def answers(
    model: str, system: str, talk: list[dict[str, Any]], settings: dict[str, Any]
) -> AsyncIterator[tuple[list[Any], str]]:
    """Give the conversation as it grows, and what is known of the answer."""
    begun, whole = time.monotonic(), None
    asked = [("system", system)] if system else []
    asked += [(turn["role"], turn["content"]) for turn in talk if not turn.get("metadata")]
    try:
        async for chunk in ChatHFInference(**arguments_of(model, settings)).astream(asked):
            whole = chunk if whole is None else whole + chunk
            yield talk + shown(whole), facts(whole, time.monotonic() - begun)
    except (HFInferenceError, ValidationError) as error:
        text = error_envelope(error)["message"]
        yield (
            talk
            + shown(whole)
            + [
                {"role": "assistant", "content": f"**{type(error).__name__}**: {text}", "metadata": {"title": "failed"}}
            ],
            "",
        )


def shown(whole: Any) -> list[dict[str, Any]]:
    """Give an answer as the page shows it: the reasoning folded, then the text."""
    if whole is None:
        return []
    rows: list[dict[str, Any]] = []
    if reasoning := whole.additional_kwargs.get("reasoning_content"):
        rows.append({"role": "assistant", "content": reasoning, "metadata": {"title": "reasoning"}})
    return [*rows, {"role": "assistant", "content": whole.text}]


def facts(whole: Any, seconds: float) -> str:
    """Give tokens, time and provider in a line."""
    usage, provider = whole.usage_metadata, whole.response_metadata.get("served_provider")
    counted = f"{usage['input_tokens']} + {usage['output_tokens']} tokens, " if usage else ""
    return f"{counted}{seconds:.1f} s{f', {provider}' if provider else ''}"


async def ask(
    question: str, left: str, right: str, system: str, left_talk: list[Any], right_talk: list[Any], *values: Any
) -> AsyncIterator[Any]:
    """Ask both at once, and give both conversations whenever either grows."""
    if not question.strip():
        yield question, left_talk, right_talk, "", ""
        return
    turn, news = {"role": "user", "content": question}, asyncio.Event()
    sides: list[Any] = [([*left_talk, turn], ""), ([*right_talk, turn], "")]
    settings = settings_of(values)

    async def follow(side: int, model: str) -> None:
        async for state in answers(model, system, sides[side][0], settings):
            sides[side] = state
            news.set()

    tasks = [asyncio.create_task(follow(side, model)) for side, model in enumerate((left, right))]
    try:
        while not all(task.done() for task in tasks):
            await asyncio.wait(
                [*tasks, waiting := asyncio.create_task(news.wait())], return_when=asyncio.FIRST_COMPLETED, timeout=0.1
            )
            waiting.cancel()
            news.clear()
            yield "", sides[0][0], sides[1][0], sides[0][1], sides[1][1]
    finally:
        for task in tasks:
            task.cancel()
    yield "", sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def page(left: str, right: str) -> gr.Blocks:
    """Draw the page."""
    with gr.Blocks(title="Two models side by side") as blocks:
        gr.Markdown("## Two models side by side")
        with gr.Row():
            sides = []
            for name, model in (("left", left), ("right", right)):
                with gr.Column():
                    chosen = gr.Textbox(
                        model, label=f"Model {name}: a Hub id, or a server's URL", elem_id=f"{name}-model"
                    )
                    talk = gr.Chatbot(height=320, label=name, elem_id=f"{name}-talk", buttons=["copy_all"])
                    known = gr.Markdown(elem_id=f"{name}-facts", elem_classes="facts")
                    sides.append((chosen, talk, known))
        question = gr.Textbox(label="Question", placeholder="Ask both, Enter sends", elem_id="question")
        with gr.Row():
            send, stop, clear = (
                gr.Button("Ask both", variant="primary", elem_id="send"),
                gr.Button("Stop"),
                gr.Button("Clear"),
            )
        with gr.Row():
            with gr.Column():
                system = gr.Textbox(label="System message", elem_id="system")
                with gr.Row():
                    values = [
                        gr.Slider(0, 2, 0, step=0.1, label="temperature", elem_id="temperature"),
                        gr.Slider(1, 4096, 512, step=1, label="max_tokens"),
                        gr.Slider(0.05, 1, 1, step=0.05, label="top_p"),
                        gr.Slider(-2, 2, 0, step=0.1, label="frequency_penalty"),
                        gr.Slider(-2, 2, 0, step=0.1, label="presence_penalty"),
                        gr.Textbox(label="seed (empty: by chance)", elem_id="seed"),
                    ]
            with gr.Column():
                first = code_of(left, "", "", [], *(value.value for value in values))
                code = gr.Code(first, language="python", label="The same in code (the left model)", elem_id="code")

        (left_model, left_talk, left_facts), (right_model, right_talk, right_facts) = sides
        inputs = [question, left_model, right_model, system, left_talk, right_talk, *values]
        outputs = [question, left_talk, right_talk, left_facts, right_facts]
        running = [event(ask, inputs, outputs) for event in (send.click, question.submit)]
        stop.click(None, cancels=running)
        clear.click(lambda: ([], [], "", ""), None, outputs[1:])
        told = [left_model, system, question, left_talk, *values]
        gr.on([part.change for part in told], code_of, told, code, show_progress="hidden")
    return blocks


def main() -> None:
    with ExitStack() as stack:
        place = stack.enter_context(served())
        left = place.get("endpoint_url") or place["model"]
        right = "openai/gpt-oss-120b" if "endpoint_url" not in place else stack.enter_context(InferenceServer()).url
        page(left, right).queue(default_concurrency_limit=8).launch(
            server_port=int(os.environ.get("PORT", "7860")),
            css=CSS,
            theme=gr.themes.Base(font="system-ui", font_mono="monospace"),
            quiet=False,
        )


if __name__ == "__main__":
    main()
