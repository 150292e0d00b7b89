"""One subject in one process, told by JSON lines on stdin what to do; gives CPU and wall microseconds per unit."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from subjects import SUBJECTS

PROMPT = "Why is the sky blue? Explain it in one paragraph."


class Worker:
    """Keeps models and one event loop over the suites."""

    def __init__(self, subject: str, base: str) -> None:
        self._make, self._base = SUBJECTS[subject], base
        self._models: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()

    def model(self, mode: str) -> Any:
        if mode not in self._models:
            self._models[mode] = self._make(f"{self._base}/m/{mode}")
        return self._models[mode]

    def run(self, suite: str, n: int) -> dict[str, float]:
        gc.collect()
        return getattr(self, suite)(n)

    def invoke(self, n: int) -> dict[str, float]:
        model = self.model("text-100-0")
        return timed(lambda: [model.invoke(PROMPT) for _ in range(n)], n)

    def ainvoke(self, n: int) -> dict[str, float]:
        model = self.model("text-100-0")

        async def act() -> None:
            for _ in range(n):
                await model.ainvoke(PROMPT)

        return timed(lambda: self._loop.run_until_complete(act()), n)

    def stream(self, n: int, mode: str = "text-1000-0", units: int = 1000) -> dict[str, float]:
        model = self.model(mode)

        def act() -> None:
            for _ in range(n):
                for _ in model.stream(PROMPT):
                    pass

        return timed(act, n * units)

    def astream(self, n: int) -> dict[str, float]:
        model = self.model("text-1000-0")

        async def act() -> None:
            for _ in range(n):
                async for _ in model.astream(PROMPT):
                    pass

        return timed(lambda: self._loop.run_until_complete(act()), n * 1000)

    def stream_100(self, n: int) -> dict[str, float]:
        return self.stream(n * 10, "text-100-0", 100)

    def stream_10000(self, n: int) -> dict[str, float]:
        return self.stream(max(1, n // 5), "text-10000-0", 10000)

    def stream_tools(self, n: int) -> dict[str, float]:
        return self.stream(n, "tools-500-0", 500)

    def history(self, n: int, count: int = 1000) -> dict[str, float]:
        from langchain_core.messages import AIMessage, HumanMessage

        talk = [
            HumanMessage(f"Question {i}: what is the weather like?")
            if i % 2 == 0
            else AIMessage(f"Answer {i}: it is sunny.")
            for i in range(count + 1)
        ]
        model = self.model("text-10-0")
        return timed(lambda: [model.invoke(talk) for _ in range(n)], n)

    def tools(self, n: int) -> dict[str, float]:
        tool = {"type": "function", "function": {"name": "f", "description": "Do it.", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
        tools = [{**tool, "function": {**tool["function"], "name": f"tool_{i}"}} for i in range(100)]
        model = self.model("text-10-0").bind_tools(tools)
        return timed(lambda: [model.invoke(PROMPT) for _ in range(n)], n)

    def _many(self, mode: str, total: int, at_once: int) -> dict[str, float]:
        model = self.model(mode)

        async def act() -> None:
            waiting = iter(range(total))

            async def one() -> None:
                for _ in waiting:
                    await model.ainvoke(PROMPT)

            await asyncio.gather(*(one() for _ in range(at_once)))

        return timed(lambda: self._loop.run_until_complete(act()), total)

    def many_10(self, n: int) -> dict[str, float]:
        return self._many("text-20-20", 20 * n, 10)

    def many_100(self, n: int) -> dict[str, float]:
        return self._many("text-20-20", 100 * n, 100)

    def many_500(self, n: int) -> dict[str, float]:
        return self._many("text-20-100", 200 * n, 500)

    def many_1000(self, n: int) -> dict[str, float]:
        return self._many("text-20-200", 200 * n, 1000)

    def paced(self, n: int) -> dict[str, float]:
        model, late = self.model("paced-100-0"), []
        for _ in range(max(1, n // 5)):
            for piece in model.stream(PROMPT):
                now = time.monotonic_ns()
                text = piece["choices"][0]["delta"].get("content") if isinstance(piece, dict) else piece.content
                late += [(now - int(text)) / 1000] if text and text.strip().isdigit() else []
        late.sort()
        return {"cpu_us": late[len(late) // 2], "wall_us": late[int(len(late) * 0.99)], "rss_mb": rss()}

    def construct(self, n: int) -> dict[str, float]:
        url = f"{self._base}/m/text-10-0"
        self._make(url)
        return timed(lambda: [self._make(url) for _ in range(n)], n)


def timed(act: Callable[[], Any], units: int) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_us": cpu / units * 1e6, "wall_us": wall / units * 1e6, "rss_mb": rss()}


def rss() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    worker = Worker(sys.argv[1], sys.argv[2])
    for line in sys.stdin:
        suite, n = json.loads(line)
        try:
            found = worker.run(suite, n)
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
