"""A batch on a local Ray cluster (`make test-ray`): two workers, one budget, one of them killed on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from langchain_hf_inference.batch import BatchJob
from langchain_hf_inference.ray import run_on_ray
from langchain_hf_inference.testing import Fault, InferenceServer

LINES = int(os.environ.get("RAY_LINES", "10000"))
LIMIT = 16


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
    ray.init(num_cpus=4, include_dashboard=False, logging_level="error", log_to_driver=False)
    yield
    ray.shutdown()


class Counting(InferenceServer):
    """Shows some passing failures, and counts what is in flight."""

    def __init__(self) -> None:
        super().__init__(models=["m"])
        self.count = self.now = self.most = 0

    def _next_fault(self) -> Fault | None:
        with self._lock:
            self.count += 1
            return Fault.of_status(429, **{"Retry-After": "0.05"}) if self.count % 500 == 0 else None


@pytest.fixture
def server() -> Iterator[Counting]:
    with Counting() as running:
        yield running


def lines(path: Path, count: int) -> Path:
    with path.open("w") as file:
        for i in range(count):
            body = {
                "model": "missing" if i % 1000 == 7 else "m",
                "messages": [{"role": "user", "content": f"message {i}"}],
            }
            file.write(
                json.dumps({"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n"
            )
    return path


def rows(folder: Path) -> dict[str, Any]:
    found = [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert len({row["custom_id"] for row in found}) == len(found), "a line is there twice"
    return {row["custom_id"]: (row["response"] or {}).get("body") for row in found}


def kill_a_worker(server: Counting, after: int, killed: list[int]) -> None:
    while server.count < after:
        time.sleep(0.05)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::") and b"Worker" in title:
            os.kill(int(process.name), signal.SIGKILL)
            killed.append(int(process.name))
            return


@pytest.mark.timeout(600)
def test_same_as_on_one_machine(server: Counting, tmp_path: Path) -> None:
    """With a worker killed on the way, Ray gives the rows that one process gives: no line lost, none twice."""
    source = lines(tmp_path / "in.jsonl", LINES)
    job = BatchJob(endpoint_url=server.url, max_concurrency=LIMIT, max_attempts=20)
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(server, LINES // 3, killed))
    killer.start()

    done = run_on_ray(job, str(source), str(tmp_path / "out"), workers=2, batch_size=50)
    killer.join()
    alone = job.run(source, tmp_path / "alone.jsonl")

    assert len(killed) == 1
    assert (done.succeeded, done.failed) == (alone.succeeded, alone.failed) == (LINES - LINES // 1000, LINES // 1000)
    one = [json.loads(line) for line in (tmp_path / "alone.jsonl").read_text().splitlines()]
    assert rows(tmp_path / "out") == {row["custom_id"]: row["response"]["body"] for row in one}
    assert rows(tmp_path / "out-errors").keys() == {f"r{i}" for i in range(7, LINES, 1000)}
    print(
        f"{LINES:,} lines on Ray in {done.seconds:.1f} s, alone in {alone.seconds:.1f} s; {server.count:,} requests, worker killed"
    )


def test_actions_and_mixed_lines(server: Counting, tmp_path: Path) -> None:
    """Bodies of different shapes, actions and lines that cannot be read go through as they are."""
    source = tmp_path / "in.jsonl"
    mixed = [{"custom_id": "a", "body": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}},
             {"custom_id": "b", "body": {"messages": [{"role": "user", "content": "Hi"}], "stop": ["x"], "seed": 1}},
             {"custom_id": "c", "action": "chat_completion", "message": "Hello", "temperature": "0.5"}]  # fmt: skip
    source.write_text("".join(json.dumps(row) + "\n" for row in mixed) + "{broken\n")

    done = run_on_ray(BatchJob(endpoint_url=server.url, model="m"), str(source), str(tmp_path / "out"), workers=1)

    assert (done.succeeded, done.failed, done.exit_code) == (3, 1, 1)
    assert rows(tmp_path / "out").keys() == {"a", "b", "c"}
    assert all("temperature" not in r.body or r.body["temperature"] == 0.5 for r in server.requests)


def test_block_of_the_docs(server: Counting, tmp_path: Path) -> None:
    """The block of docs/how-to/batch.md runs as it stands, but for its addresses."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "batch.md").read_text()
    (block,) = re.findall(r"^```python ray\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "in").mkdir()
    lines(tmp_path / "in" / "a.jsonl", 20)
    for there, here in (("s3://bucket", str(tmp_path)), ("http://vllm:8000", server.url)):
        assert there in block
        block = block.replace(there, here)

    exec(compile(block, "batch.md", "exec"), {})

    assert len(rows(tmp_path / "out")) == 19, "the missing model's line is among the errors"
