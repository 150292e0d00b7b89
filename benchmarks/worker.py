"""One subject in one process, told by JSON lines on stdin what to do; gives CPU and wall microseconds per unit."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from subjects import subject
from suites import LANGCHAIN

PROMPT = "Why is the sky blue? Explain it in one paragraph."
Row = dict[str, Any]


class Worker:
    """Keeps models and one event loop over the suites."""

    def __init__(self, name: str, base: str) -> None:
        self._subject, self._base, self._name = subject(name), base, name
        self._models: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()

    def model(self, mode: str, kind: str = "chat") -> Any:
        if (kind, mode) not in self._models:
            self._models[kind, mode] = getattr(self._subject, kind)(f"{self._base}/m/{mode}")
        return self._models[kind, mode]

    def run(self, act: str, n: int, given: dict[str, Any]) -> Row:
        gc.collect()
        opened = self._opened()
        row = getattr(self, act)(n, **given)
        return {**row, "rss_mb": rss(), "connections": self._opened() - opened - 1}  # one to ask

    def _opened(self) -> int:
        with urllib.request.urlopen(f"{self._base}/connections") as answer:
            return int(answer.read()) - 1

    def calls(self, n: int, mode: str) -> Row:
        model = self.model(mode)
        return timed(lambda: [model.invoke(PROMPT) for _ in range(n)], n)

    def acalls(self, n: int, mode: str) -> Row:
        model = self.model(mode)

        async def act() -> None:
            for _ in range(n):
                await model.ainvoke(PROMPT)

        return timed(lambda: self._loop.run_until_complete(act()), n)

    def chunks(self, n: int, mode: str, units: int, kind: str = "chat") -> Row:
        model = self.model(mode, kind)

        def act() -> None:
            for _ in range(n):
                for _ in model.stream(PROMPT):
                    pass

        return timed(act, n * units)

    def llm_chunks(self, n: int, mode: str, units: int) -> Row:
        return self.chunks(n, mode, units, "llm")

    def achunks(self, n: int, mode: str, units: int) -> Row:
        model = self.model(mode)

        async def act() -> None:
            for _ in range(n):
                async for _ in model.astream(PROMPT):
                    pass

        return timed(lambda: self._loop.run_until_complete(act()), n * units)

    def first_chunk(self, n: int, mode: str) -> Row:
        model, walls, cpus = self.model(mode), [], []
        for _ in range(n):
            wall, cpu = time.perf_counter(), time.process_time()
            pieces = iter(model.stream(PROMPT))
            next(pieces)
            walls.append((time.perf_counter() - wall) * 1e6)
            cpus.append((time.process_time() - cpu) * 1e6)
            for _ in pieces:
                pass
        return {**spread(walls), "cpu_us": sorted(cpus)[n // 2]}

    def paced(self, n: int) -> Row:
        model, late = self.model("paced-100-0"), []
        for _ in range(n):
            for piece in model.stream(PROMPT):
                late += delay(piece)
        return spread(late)

    def apaced(self, n: int) -> Row:
        model, late = self.model("paced-100-0"), []

        async def act() -> None:
            for _ in range(n):
                async for piece in model.astream(PROMPT):
                    late.extend(delay(piece))

        self._loop.run_until_complete(act())
        return spread(late)

    def history(self, n: int, count: int) -> Row:
        talk: list[Any] = [
            SimpleNamespace(type="ai", content=f"Answer {i}: it is sunny.")
            if i % 2
            else SimpleNamespace(type="human", content=f"Question {i}: what is the weather like?")
            for i in range(count + 1)
        ]
        if self._name in LANGCHAIN:
            from langchain_core.messages.utils import convert_to_messages

            talk = convert_to_messages([(one.type, one.content) for one in talk])
        model = self.model("text-10-0")
        return timed(lambda: [model.invoke(talk) for _ in range(n)], n)

    def tools(self, n: int, count: int) -> Row:
        function = {"description": "Do it.", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}  # fmt: skip
        tools = [{"type": "function", "function": {"name": f"tool_{i}", **function}} for i in range(count)]
        model = self.model("text-10-0").bind_tools(tools)
        return timed(lambda: [model.invoke(PROMPT) for _ in range(n)], n)

    def many(self, n: int, mode: str, at_once: int) -> Row:
        model = self.model(mode)

        async def act() -> None:
            if hasattr(model, "abatch"):
                await model.abatch([PROMPT] * n, {"max_concurrency": at_once})
                return
            waiting = iter(range(n))

            async def one() -> None:
                for _ in waiting:
                    await model.ainvoke(PROMPT)

            await asyncio.gather(*(one() for _ in range(at_once)))

        return timed(lambda: self._loop.run_until_complete(act()), n)

    def embed(self, n: int) -> Row:
        model = self.model("text-10-0", "embedder")
        texts = [f"Text number {i}, of the usual length of a sentence or two." for i in range(n)]
        return timed(lambda: model.embed_documents(texts), n)

    def embed_tei(self, n: int) -> Row:
        model = self.model("text-10-0", "tei")
        texts = [f"Short text {i}." for i in range(n)]
        embed = getattr(model, "embed_tei", None) or model.embed_documents
        return timed(lambda: [embed(texts) for _ in range(5)], 5 * n)

    def batch(self, n: int) -> Row:
        if self._name != "ours":
            return self.many(n, "text-20-5", 64)
        from langchain_hf_inference.batch import BatchJob

        body = {"model": "org/name", "messages": [{"role": "user", "content": PROMPT}]}
        with tempfile.TemporaryDirectory() as folder:
            lines, done = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
            lines.write_text("".join(json.dumps({"custom_id": str(i), "method": "POST", "url": "/v1/chat/completions",
                                                 "body": body}) + "\n" for i in range(n)))  # fmt: skip
            job = BatchJob(endpoint_url=f"{self._base}/m/text-20-5", engine="openai", api_key="k", max_concurrency=64)
            return timed(lambda: job.run(lines, done), n)

    def construct(self, n: int) -> Row:
        url = f"{self._base}/m/text-10-0"
        self._subject.chat(url)
        return timed(lambda: [self._subject.chat(url) for _ in range(n)], n)

    def memory(self, n: int, mode: str, warm: int) -> Row:
        model = self.model(mode)
        for _ in range(warm):
            model.invoke(PROMPT)
        gc.collect()
        before = rss()
        row = timed(lambda: [None for _ in range(n) if not model.invoke(PROMPT)], n)
        gc.collect()
        return {**row, "grown_mb": rss() - before}


def delay(piece: Any) -> list[float]:
    """Give how many microseconds ago the server sent a piece of a paced stream, whose text is its clock."""
    now = time.monotonic_ns()
    if isinstance(piece, dict):
        choices = piece["choices"]
        text = choices[0]["delta"].get("content") if choices else ""
    elif hasattr(piece, "choices"):
        text = piece.choices[0].delta.content if piece.choices else ""
    else:
        text = piece.content
    return [(now - int(text)) / 1000] if text and text.strip().isdigit() else []


def spread(figures: list[float]) -> dict[str, Any]:
    """Give samples whose middle and tail are told once all repetitions are in."""
    return {"samples": [round(figure, 1) for figure in figures]}


def timed(act: Callable[[], Any], units: int) -> Row:
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_us": cpu / units * 1e6, "wall_us": wall / units * 1e6}


def rss() -> float:
    """Give the megabytes that the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    worker = Worker(sys.argv[1], sys.argv[2])
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a subject prints is no reply
    for line in sys.stdin:
        try:
            found: Any = worker.run(*json.loads(line))
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(found), file=replies, flush=True)


if __name__ == "__main__":
    main()
