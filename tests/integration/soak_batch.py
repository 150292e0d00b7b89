"""A long batch under faults and kills, and what it did to memory: python tests/integration/soak_batch.py [LINES]

The scripted server shows 429s and 503s with Retry-After, cut connections, and refuses one line in a thousand for good. The
job is killed (SIGKILL) at 40 % and at 70 % and started again; then it runs once more without a break, and its memory is
compared at a tenth of the way and at the end.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from langchain_hf_inference.testing import Fault, InferenceServer
from langchain_hf_inference.testing import server as served

LINES = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
LIMIT = 32
JOB = """
import sys
from langchain_hf_inference.batch import BatchJob
job = BatchJob(endpoint_url=sys.argv[1], max_concurrency=int(sys.argv[4]), max_attempts=50, max_retry_wait=5)
sys.exit(job.run(sys.argv[2], sys.argv[3]).exit_code)
"""


class Faulty(InferenceServer):
    """Shows passing failures by chance; keeps no requests, but counts those in flight."""

    def __init__(self, share: float) -> None:
        super().__init__(models=["m"])
        self.requests = Forgetful()  # type: ignore[assignment]
        self.share, self.chance, self.now, self.most, self.shown = share, random.Random(7), 0, 0, Counter[str]()

    def _next_fault(self) -> Fault | None:
        with self._lock:
            if self.chance.random() >= self.share:
                return None
            kind = self.chance.choice(["429", "503", "cut"])
            self.shown[kind] += 1
        after = {"Retry-After": "0.05"}
        return Fault.cut_stream(0) if kind == "cut" else Fault.of_status(int(kind), **after)


class Forgetful(list[Any]):
    """Counts, and keeps nothing."""

    count = 0

    def append(self, item: Any) -> None:
        self.count += 1

    def __len__(self) -> int:
        return self.count


def count_in_flight() -> None:
    post, lock = served._Handler.do_POST, threading.Lock()

    def counted(self: Any) -> None:
        with lock:
            self.owner.now += 1
            self.owner.most = max(self.owner.most, self.owner.now)
        try:
            post(self)
        finally:
            with lock:
                self.owner.now -= 1

    served._Handler.do_POST = counted  # type: ignore[method-assign]


def done(output: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (output, Path(f"{output}.errors.jsonl")) if path.exists())


def ids(path: Path) -> Counter[str]:
    with path.open() as lines:
        return Counter(json.loads(line)["custom_id"] for line in lines)


def rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def start(url: str, source: Path, output: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", JOB, url, str(source), str(output), str(LIMIT)])


def wait_until(process: subprocess.Popen[bytes], output: Path, lines: int) -> None:
    while process.poll() is None and done(output) < lines:
        time.sleep(0.2)


def main() -> None:
    count_in_flight()
    folder = Path(tempfile.mkdtemp(prefix="soak-batch-"))
    source = folder / "in.jsonl"
    with source.open("w") as file:
        for i in range(LINES):
            body = {
                "model": "missing" if i % 1000 == 7 else "m",
                "messages": [{"role": "user", "content": f"message {i}"}],
            }
            file.write(
                json.dumps({"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n"
            )

    output, began = folder / "out.jsonl", time.monotonic()
    with Faulty(share=0.03) as server:
        for share in (0.4, 0.7):
            process = start(server.url, source, output)
            wait_until(process, output, int(LINES * share))
            process.kill()
            print(f"killed (rc {process.wait()}) with {done(output):,} lines done, {os.path.getsize(output):,} bytes")
        code = start(server.url, source, output).wait()
        print(f"ended with {code} after {time.monotonic() - began:,.0f} s; {len(server.requests):,} requests for {LINES:,} lines, "
              f"{server.connections:,} connections; shown: {dict(server.shown)}; at most {server.most} in flight, limit {LIMIT}")  # fmt: skip
        assert server.most <= LIMIT
    answers, failures = ids(output), ids(Path(f"{output}.errors.jsonl"))
    assert answers + failures == Counter(f"r{i}" for i in range(LINES)), "a line is lost, or there twice"
    assert set(failures) == {f"r{i}" for i in range(7, LINES, 1000)}
    print(f"{len(answers):,} answers, {len(failures):,} errors, each line once")

    smooth = folder / "smooth.jsonl"
    with Faulty(share=0.0) as server:
        process = start(server.url, source, smooth)
        wait_until(process, smooth, LINES // 10)
        early, clock = rss_mb(process.pid), time.monotonic()
        late = early
        while process.poll() is None:
            late = rss_mb(process.pid) or late
            time.sleep(0.2)
        rate = LINES * 0.9 / (time.monotonic() - clock)
        assert server.most <= LIMIT
    print(f"memory at {LINES // 10:,} lines {early:.1f} MB, at {LINES:,} {late:.1f} MB; {rate:,.0f} lines a second, "
          f"at most {server.most} in flight")  # fmt: skip
    assert late < early * 1.1


if __name__ == "__main__":
    main()
