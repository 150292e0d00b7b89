"""A long mix of calls, and what it leaves behind: python tests/integration/soak_calls.py [CALLS]

Sync calls on eight threads and async ones on one event loop, sixty-four at a time: whole answers, streams read to the
end, streams left after a chunk, calls cancelled in flight, embeddings, and one in a hundred that meets a fault. Each tenth of
the way tells memory, open files, threads and tasks; at the end all must be as flat as after the first tenth.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from langchain_hf_inference import ChatHFInference, HFInferenceEmbeddings, HFInferenceError

CALLS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
THREADS, TASKS, STEPS = 8, 64, 10
SERVER = Path(__file__).parents[2] / "benchmarks" / "server.py"

complaints: list[str] = []
done: Counter[str] = Counter()


class Callers:
    """The calls."""

    def __init__(self, base: str) -> None:
        self.chat = ChatHFInference(
            endpoint_url=f"{base}/m/text-20-1", model="m", engine="openai", api_key="k", max_retries=0
        )
        self.lost = ChatHFInference(
            endpoint_url=f"{base}/nothing", model="m", engine="openai", api_key="k", max_retries=0
        )
        self.embedder = HFInferenceEmbeddings(
            endpoint_url=f"{base}/m/text-20-0", model="m", engine="openai", api_key="k"
        )

    def sync(self, lot: float) -> str:
        if lot < 0.45:
            self.chat.invoke("Hello")
            return "invoke"
        if lot < 0.70:
            assert sum(1 for _ in self.chat.stream("Hello")) > 20
            return "stream"
        if lot < 0.85:
            stream = self.chat.stream("Hello")
            next(stream)
            if lot < 0.80:
                stream.close()
            return "stream, left"  # closed, or by going out of sight
        if lot < 0.99:
            self.embedder.embed_query("Hello")
            return "embed_query"
        try:
            self.lost.invoke("Hello")
        except HFInferenceError:
            return "an error"
        raise AssertionError("no error")

    async def asynchronous(self, lot: float) -> str:
        if lot < 0.40:
            await self.chat.ainvoke("Hello")
            return "ainvoke"
        if lot < 0.65:
            assert len([None async for _ in self.chat.astream("Hello")]) > 20
            return "astream"
        if lot < 0.75:
            stream = self.chat.astream("Hello")
            await anext(stream)
            await stream.aclose()
            return "astream, left"
        if lot < 0.90:
            task = asyncio.ensure_future(self.chat.ainvoke("Hello"))
            await asyncio.sleep(lot / 200)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return "ainvoke, cancelled"
        if lot < 0.99:
            await self.embedder.aembed_query("Hello")
            return "aembed_query"
        try:
            await self.lost.ainvoke("Hello")
        except HFInferenceError:
            return "an error, async"
        raise AssertionError("no error")


async def async_part(callers: Callers, count: int, seed: int) -> None:
    lots = random.Random(seed)
    waiting = iter(range(count))

    async def one() -> None:
        for _ in waiting:
            done[await callers.asynchronous(lots.random())] += 1

    await asyncio.gather(*(one() for _ in range(TASKS)))


def sync_part(callers: Callers, count: int, seed: int) -> None:
    lots = random.Random(seed)
    with ThreadPoolExecutor(THREADS) as threads:
        for kind in threads.map(callers.sync, [lots.random() for _ in range(count)]):
            done[kind] += 1


def state(tasks: int) -> dict[str, float]:
    gc.collect()
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return {"rss_mb": round(rss, 1), "files": len(os.listdir("/proc/self/fd")), "threads": threading.active_count(),
            "tasks": tasks, "objects": len(gc.get_objects())}  # fmt: skip


async def soak(base: str) -> list[dict[str, float]]:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context.get("message"))))
    callers, states = Callers(base), []
    for step in range(STEPS):
        half = CALLS // STEPS // 2
        await asyncio.gather(asyncio.to_thread(sync_part, callers, half, step), async_part(callers, half, step + 100))
        await asyncio.sleep(0.2)
        states.append(state(len(asyncio.all_tasks()) - 1))
        print(
            f"| {sum(done.values()):,} | " + " | ".join(f"{value:,}" for value in states[-1].values()) + " |",
            flush=True,
        )
    callers.chat.close()
    await callers.chat.aclose()
    return states


def main() -> int:
    warnings.simplefilter("always", ResourceWarning)
    warnings.showwarning = lambda message, *_, **__: complaints.append(str(message))
    sys.unraisablehook = lambda told: complaints.append(str(told.exc_value))
    server = subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    begun = time.monotonic()
    print("| calls | MB | files | threads | tasks | objects |\n|---:|---:|---:|---:|---:|---:|")
    try:
        states = asyncio.run(soak(f"http://127.0.0.1:{server.stdout.readline().strip()}"))
    finally:
        server.kill()
    gc.collect()
    first, last = states[0], states[-1]
    grown = {name: last[name] - first[name] for name in last}
    print(
        f"\n{dict(done)}\n{time.monotonic() - begun:.0f} s; from the first tenth to the last: {grown}; complaints: {complaints[:5]}"
    )
    limits: dict[str, Any] = {"rss_mb": 6, "files": 10, "threads": 0, "tasks": 0, "objects": 3000}
    bad = [name for name, limit in limits.items() if grown[name] > limit] + complaints[:1]
    print("flat" if not bad else f"NOT flat: {bad}")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
