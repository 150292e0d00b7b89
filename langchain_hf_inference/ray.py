"""A batch job on Ray Data (extra `ray`): the same lines, options, retries and rows, on many machines.

    from langchain_hf_inference.batch import BatchJob
    from langchain_hf_inference.ray import run_on_ray

    run_on_ray(BatchJob(endpoint_url="http://vllm:8000"), "s3://bucket/in/", "s3://bucket/out/", workers=8)

Lines are read as text and written as they come: read_json and write_json would bring all of them under one schema,
and give each body the fields of every other, as null. All workers share one budget, so that the server's 429s and
Retry-Afters hold for all of them together. Ray Data starts a worker that dies anew, with the batch that it had.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pyarrow as pa
import ray
from ray.data.block import BlockAccessor
from ray.data.datasource import BlockBasedFileDatasink

from langchain_hf_inference.batch.job import BatchJob
from langchain_hf_inference.batch.pace import Limit, Pace

ROW, OK = "row", "ok"


@dataclass(frozen=True, slots=True)
class RaySummary:
    """What came of a job on Ray."""

    succeeded: int
    failed: int
    seconds: float

    @property
    def exit_code(self) -> int:
        """0: every line is answered; 1: some are among the errors."""
        return 1 if self.failed else 0


@ray.remote(num_cpus=0, max_concurrency=1000)
class Budget:
    """The pace of all workers together; see `batch/pace.py`."""

    def __init__(self, most: int) -> None:
        self._pace = Pace(Limit(most), time.monotonic)
        self._held: dict[str, int] = {}
        self._lives: dict[str, int] = {}
        self.most_in_flight = 0

    async def acquire(self, worker: str) -> int:
        """Wait for a slot."""
        life = self._lives.get(worker)
        slot = await self._pace.acquire()
        if self._lives.get(worker) != life:  # it died while it waited
            await self._pace.release(slot, ok=False)
            raise RuntimeError("the worker that asked for this slot is gone")
        self._held[worker] = self._held.get(worker, 0) + 1
        self.most_in_flight = max(self.most_in_flight, self._pace.in_flight)
        return slot

    async def release(self, worker: str, slot: int, overloaded: bool, wait_s: float, ok: bool) -> None:
        """Give a slot back."""
        if self._held.get(worker):
            self._held[worker] -= 1
            await self._pace.release(slot, overloaded=overloaded, wait_s=wait_s, ok=ok)

    async def forget(self, worker: str) -> None:
        """Give back what a worker held when it died; its life begins anew."""
        self._lives[worker] = self._lives.get(worker, 0) + 1
        for _ in range(self._held.pop(worker, 0)):
            await self._pace.release(-1, ok=False)

    async def most(self) -> int:
        """Give the most slots that were ever in use."""
        return self.most_in_flight


class Shared:
    """A worker's way to the budget: the `Slots` of its lines."""

    def __init__(self, budget: Any, worker: str) -> None:
        self._budget, self._worker = budget, worker

    async def acquire(self) -> int:
        """See `Slots`."""
        return int(await self._budget.acquire.remote(self._worker))

    async def release(self, sent_under: int, *, overloaded: bool = False, wait_s: float = 0.0, ok: bool = True) -> None:
        """See `Slots`."""
        await self._budget.release.remote(self._worker, sent_under, overloaded, wait_s, ok)

    async def rest(self, seconds: float) -> None:
        """See `Slots`."""
        await asyncio.sleep(seconds)


class Worker:
    """Does lines on one machine; its connections stay open from batch to batch."""

    def __init__(self, settings: dict[str, Any], budget: Any, name: str) -> None:
        self._job = BatchJob(**settings)
        self._loop = asyncio.new_event_loop()
        # A worker that Ray made anew in the place of a dead one holds nothing of what that one held.
        identity = f"{name}-{ray.get_runtime_context().get_actor_id()}"
        ray.get(budget.forget.remote(identity))
        self._slots = Shared(budget, identity)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Do the lines of one batch, all at once as far as the budget lets them."""
        return self._loop.run_until_complete(self._done([str(text) for text in batch["text"]], list(batch["number"])))

    async def _done(self, texts: list[str], numbers: list[Any]) -> dict[str, list[Any]]:
        outcomes = await asyncio.gather(
            *(self._job.outcome(text, int(number), self._slots) for text, number in zip(texts, numbers, strict=True))
        )
        return {ROW: [outcome.row.decode() for outcome in outcomes], OK: [outcome.is_ok for outcome in outcomes]}


class _Lines(BlockBasedFileDatasink):  # type: ignore[misc]
    """Writes rows as they are, answers or failures."""

    def __init__(self, path: str, *, ok: bool) -> None:
        super().__init__(path, file_format="jsonl")
        self._ok = ok

    def write_block_to_file(self, block: BlockAccessor, file: Any) -> None:
        """Write a block."""
        for row in block.iter_rows(public_row_format=False):
            if bool(row[OK]) is self._ok:
                file.write(str(row[ROW]).encode())


def run_on_ray(
    job: BatchJob,
    source: str | list[str],
    output: str,
    errors: str | None = None,
    *,
    workers: int = 2,
    batch_size: int = 64,
) -> RaySummary:
    """Do every line of `source` on a Ray cluster, the running one or one of this machine.

    Args:
        job: Where to, how patiently, how many in flight over all workers. A token that is given goes to the workers; without
            one each takes HF_TOKEN of its own environment.
        source: JSONL: a file, a folder, or several, wherever Ray Data reads.
        output: A folder for JSONL files of answers, in OpenAI's batch form.
        errors: A folder for those of failures; `<output>-errors` by default.
        workers: The most processes that send; fewer where the cluster has fewer free cores.
        batch_size: Lines that a worker takes at a time, and that are sent again if it dies.
    """
    began = time.monotonic()
    budget = Budget.remote(job.max_concurrency)  # type: ignore[attr-defined]
    lines = ray.data.read_text(source, drop_empty_lines=True, override_num_blocks=max(1, 4 * workers)).map_batches(
        _numbered, batch_format="pyarrow", batch_size=None
    )
    done = lines.map_batches(
        Worker,
        fn_constructor_args=(_settings(job), budget, uuid4().hex),
        batch_size=batch_size,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),  # a fixed size would wait for as many cores
        num_cpus=1,
    ).materialize()
    done.write_datasink(_Lines(output, ok=True))
    failed = done.filter(_is_failed)
    count = failed.count()
    if count:
        failed.write_datasink(_Lines(errors or output.rstrip("/") + "-errors", ok=False))
    return RaySummary(done.count() - count, count, time.monotonic() - began)


def _is_failed(row: dict[str, Any]) -> bool:
    return not row[OK]


def _numbered(table: pa.Table) -> pa.Table:
    """Number the lines of a block: by a digest, for Ray does not know where in which file a line stood."""
    import zlib

    numbers = [zlib.crc32(str(text).encode()) for text in table.column("text").to_pylist()]
    return table.append_column("number", pa.array(numbers, pa.int64()))


def _settings(job: BatchJob) -> dict[str, Any]:
    """Give the job's arguments, the key as it was given: they go to the workers, and nowhere else."""
    given = {name: getattr(job, name) for name in job.model_fields_set}
    return {name: value for name, value in given.items() if name not in ("http_client", "http_async_client")}
