"""batch/: files of requests, resumable after a kill, paced by the server, each line once."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import ConfigurationError
from langchain_hf_inference._transport import client_builders
from langchain_hf_inference.batch import BatchJob, BatchProgress, BatchSummary
from langchain_hf_inference.batch.lines import done_number
from langchain_hf_inference.batch.pace import Limit, Pace
from langchain_hf_inference.batch.progress import shown_progress
from langchain_hf_inference.testing import Fault, InferenceServer

FarEndMaker = Callable[..., FarEnd]


def request(i: int, **body: Any) -> dict[str, Any]:
    return {"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [{"role": "user", "content": f"message {i}"}], **body}}  # fmt: skip


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Folder:
    """The files of one job."""

    def __init__(self, folder: Path) -> None:
        self.source, self.output = folder / "in.jsonl", folder / "out.jsonl"
        self.errors = folder / "out.jsonl.errors.jsonl"

    def run(self, job: BatchJob, **options: Any) -> BatchSummary:
        return job.run(self.source, self.output, **options)

    def ids(self) -> Counter[str]:
        """Count how often each line stands in output and errors together."""
        return Counter(row["custom_id"] for path in (self.output, self.errors) for row in rows(path))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def job(server: InferenceServer, **settings: Any) -> BatchJob:
    return BatchJob(**{"endpoint_url": server.url, "max_concurrency": 16, **settings})


def test_openai_format(folder: Folder, server: InferenceServer) -> None:
    """An answer has OpenAI's form, its body being the server's own; settings go out as they are."""
    written(folder.source, [request(0, temperature=0, top_k=5), "", request(1)])

    done = folder.run(job(server))

    assert (done.total, done.succeeded, done.failed, done.exit_code) == (2, 2, 0, 0)
    by_id = {row["custom_id"]: row for row in rows(folder.output)}
    first = by_id["r0"]
    assert first.keys() == {"id", "custom_id", "response", "error"}
    assert (first["id"], first["error"], first["response"]["status_code"]) == ("batch_req_0", None, 200)
    assert first["response"]["body"]["choices"][0]["message"]["content"] == "You said: message 0"
    assert first["response"]["request_id"].startswith("scripted-")
    assert by_id["r1"]["id"] == "batch_req_2"
    sent = next(r.body for r in server.requests if r.body["messages"][0]["content"] == "message 0")
    assert sent == request(0, temperature=0, top_k=5)["body"]
    assert done.tokens > 0


def test_other_apis_and_actions(folder: Folder, server: InferenceServer) -> None:
    """Completions, embeddings, and actions stand in one file; a job names what lines do not."""
    written(folder.source, [
        {"custom_id": "c", "url": "/v1/completions", "body": {"prompt": "Once", "max_tokens": 3}},
        {"custom_id": "e", "url": "/v1/embeddings", "body": {"input": ["a"], "model": "scripted/e"}},
        {"custom_id": "a", "action": "embeddings", "model": "scripted/e", "input": "one"},
        {"message": "Hello", "temperature": "0.5"},
    ])  # fmt: skip

    done = folder.run(job(server, model="scripted/m", action="chat_completion", model_kwargs={"user": "me"}))

    bodies = {row["custom_id"]: row["response"]["body"] for row in rows(folder.output)}
    assert done.failed == 0
    assert bodies["c"]["choices"][0]["text"]
    assert len(bodies["e"]["data"]) == len(bodies["a"]["data"]) == 1
    assert bodies[None]["choices"][0]["message"]["content"] == "You said: Hello"
    sent = {r.path: r.body for r in server.requests}
    assert (sent["/v1/completions"]["model"], sent["/v1/completions"]["user"]) == ("scripted/m", "me")


BAD_LINES: list[tuple[Any, str]] = [
    ("{", "the line is not JSON"),
    ("[1]", "a JSON list, not an object"),
    ({"custom_id": "x", "url": "/v1/images", "body": {}}, '"url" is'),
    ({"custom_id": "x", "method": "GET", "url": "/v1/embeddings", "body": {}}, '"method" is'),
    ({"custom_id": "x", "url": "/v1/embeddings", "body": "b"}, '"body" is str'),
    (request(0, stream=True), "a batch has no streams"),
    ({"custom_id": "x", "action": "paint"}, "action 'paint' is not known"),
    ({"custom_id": "x", "message": "Hello"}, "it names no action"),
    (
        {"custom_id": "x", "action": "chat_completion", "message": "Hello", "temperature": "hot"},
        "temperature: 'hot' is no number",
    ),
]


@pytest.mark.parametrize(("line", "words"), BAD_LINES)
def test_bad_lines(folder: Folder, server: InferenceServer, line: Any, words: str) -> None:
    """A line that cannot be read stands in the errors with its reason; nothing was sent for it, the others go on."""
    written(folder.source, [line, request(1)])

    done = folder.run(job(server))

    (failed,) = rows(folder.errors)
    assert (done.succeeded, done.failed, done.exit_code) == (1, 1, 1)
    assert words in failed["error"]["message"]
    assert (failed["id"], failed["response"], failed["error"]["attempts"]) == ("batch_req_0", None, 0)
    assert len(server.requests) == 1


def test_failures(folder: Folder) -> None:
    """What will not get better is sent once; what passes, again; both say how often."""
    written(folder.source, [request(i) for i in range(6)] + [request(6, model="other")])
    with InferenceServer(models=["m"]) as server:
        server.fail(Fault.of_status(500), times=3)
        done = folder.run(job(server, max_concurrency=1, max_attempts=2))

    failed = {row["custom_id"]: row for row in rows(folder.errors)}
    assert (done.succeeded, done.failed) == (5, 2)
    assert failed["r6"]["error"]["type"] == "ModelNotFoundError"
    assert (failed["r6"]["response"]["status_code"], failed["r6"]["error"]["attempts"]) == (404, 1)
    assert failed["r6"]["response"]["body"]["error"]["param"] == "model"
    other = next(row for name, row in failed.items() if name != "r6")
    assert (other["error"]["status"], other["error"]["attempts"]) == (500, 2)


def test_errors_may_be_tried_again(folder: Folder, server: InferenceServer) -> None:
    """A finished job is finished; `retry_errors` does the failed lines once more; `overwrite` begins anew."""
    written(folder.source, [request(i) for i in range(4)])
    server.fail(Fault.of_status(400), times=2)

    assert folder.run(job(server)).failed == 2
    assert folder.run(job(server)).failed == 2
    assert len(server.requests) == 4
    assert folder.run(job(server), retry_errors=True).exit_code == 0
    assert (len(server.requests), rows(folder.errors)) == (6, [])
    assert folder.run(job(server), overwrite=True).succeeded == 4
    assert len(server.requests) == 10
    assert set(folder.ids().values()) == {1}


def test_retry_after_holds_all(folder: Folder, server: InferenceServer) -> None:
    """One line is told to wait: none is sent before that time has passed."""
    written(folder.source, [request(i) for i in range(12)])
    server.fail(Fault.of_status(429, **{"Retry-After": "1"}))
    began = time.monotonic()

    done = folder.run(job(server, max_concurrency=4))

    assert (done.succeeded, done.retries) == (12, 1)
    assert 1.0 < time.monotonic() - began < 3


def test_in_flight_is_limited(folder: Folder) -> None:
    """Never more in flight than asked for; overload halves the limit."""
    written(folder.source, [request(i) for i in range(200)])
    most, now, lock = 0, 0, threading.Lock()
    seen: list[BatchProgress] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        await asyncio.sleep(0.005)
        with lock:
            now -= 1
        return httpx.Response(200, json=COMPLETION)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    made = BatchJob(endpoint_url="http://h:1", max_concurrency=20, http_async_client=client, model="m")

    done = folder.run(made, on_progress=seen.append)

    assert done.succeeded == 200
    assert most == 20
    assert max(one.in_flight for one in seen) <= 20
    last = seen[-1]
    assert (last.done, last.total, last.failed, last.remaining_s) == (200, 200, 0, 0)
    assert "200/200 lines" in last.told()


SCRIPT = """
import sys
from langchain_hf_inference.batch import BatchJob
sys.exit(BatchJob(endpoint_url=sys.argv[1], max_concurrency=8, max_attempts=20).run(sys.argv[2], sys.argv[3]).exit_code)
"""


def started(server: InferenceServer, folder: Folder) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SCRIPT, server.url, str(folder.source), str(folder.output)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def wait_for(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not done() and time.monotonic() < until:
        time.sleep(0.01)


def test_killed_and_resumed(folder: Folder) -> None:
    """Killed twice in the middle, the job goes on; each line stands in the files exactly once."""
    written(folder.source, [request(i) for i in range(400)])
    with InferenceServer(chunk_delay=0.0) as server:
        for share in (100, 250):
            process = started(server, folder)
            wait_for(lambda share=share: folder.output.exists() and folder.output.read_bytes().count(b"\n") >= share)
            process.kill()
            process.wait()
            with folder.output.open("ab") as torn:  # a kill may leave half a line
                torn.write(b'{"id":"batch_req_3')
            assert len(server.requests) < 400 + 16
        assert started(server, folder).wait() == 0

    assert folder.ids() == Counter(f"r{i}" for i in range(400))
    assert len(server.requests) <= 400 + 2 * 8 + 2


def test_ctrl_c(folder: Folder) -> None:
    """Ctrl-C lets what is in flight come in and stops; the same command ends the job."""
    written(folder.source, [request(i) for i in range(300)])
    with InferenceServer() as server:
        process = started(server, folder)
        wait_for(lambda: folder.output.exists() and folder.output.read_bytes().count(b"\n") >= 50)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        there = len(rows(folder.output))
        assert 50 <= there < 300
        assert len(server.requests) == there
        assert started(server, folder).wait() == 0

    assert folder.ids() == Counter(f"r{i}" for i in range(300))
    assert len(server.requests) == 300


def test_wrong_files(folder: Folder, server: InferenceServer, tmp_path: Path) -> None:
    """What would mix two jobs up is refused, before anything is sent."""
    with pytest.raises(ConfigurationError, match="there is no file"):
        folder.run(job(server))
    written(folder.source, [request(0)])
    with pytest.raises(ConfigurationError, match="three files"):
        job(server).run(folder.source, folder.source)
    folder.output.write_text("mine\n")
    with pytest.raises(ConfigurationError, match="no journal of it"):
        folder.run(job(server))
    folder.output.unlink()
    folder.run(job(server))
    written(folder.source, [request(0), request(1)])
    with pytest.raises(ConfigurationError, match="is not the file that"):
        folder.run(job(server))
    assert len(server.requests) == 1


def test_one_job_at_a_time(folder: Folder, server: InferenceServer) -> None:
    """A second job on the same output is refused while the first runs."""
    written(folder.source, [request(i) for i in range(50)])
    server.fail(Fault.stalled(1.0, after_events=0), times=1)
    process = started(server, folder)
    wait_for(lambda: bool(server.requests))

    with pytest.raises(ConfigurationError, match="another job is writing"):
        folder.run(job(server))
    assert process.wait() == 0


def test_a_full_disk_ends_the_job(folder: Folder, server: InferenceServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of our own is raised, and not taken for a line's."""
    written(folder.source, [request(i) for i in range(30)])

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        folder.run(job(server))


def test_router_has_chat_alone(folder: Folder, far_end: FarEndMaker) -> None:
    """Through the router chat lines carry the provider; for other APIs the line says what to do."""
    far = far_end()
    written(folder.source, [{"custom_id": "a", "body": request(0)["body"] | {"model": "org/name"}},
                            {"custom_id": "b", "url": "/v1/embeddings", "body": {"input": "x"}}])  # fmt: skip
    made = BatchJob(
        provider="fastest", api_key="hf_x", bill_to="org", http_async_client=far.clients["http_async_client"]
    )

    folder.run(made)

    assert far.bodies[0]["model"] == "org/name:fastest"
    assert far.requests[0].headers["x-hf-bill-to"] == "org"
    assert "write the line as an action" in rows(folder.errors)[0]["error"]["message"]


def test_no_secret_in_files(folder: Folder) -> None:
    """Neither output nor errors nor journal hold the token."""
    with InferenceServer(api_key="hf_other") as server:
        written(
            folder.source, [request(0), {"custom_id": "a", "action": "chat_completion", "message": "x", "model": "m"}]
        )
        folder.run(job(server, api_key="hf_s3cr3t", default_headers={"X-Key": "hf_s3cr3t"}))

    assert {row["error"]["type"] for row in rows(folder.errors)} == {"AuthenticationError"}
    assert not [path for path in folder.source.parent.iterdir() if "hf_s3cr3t" in path.read_text()]


def test_limit_moves() -> None:
    """It doubles a round, halves once for a round of refusals, then grows by one a round."""
    limit = Limit(64)
    for _ in range(8):
        limit.succeeded()
    assert limit.value == 16
    for _ in range(5):  # all sent before the first was refused
        limit.overloaded(0, until=2.0)
    assert (limit.value, limit.paused_until) == (8, 2.0)
    for _ in range(8):
        limit.succeeded()
    assert 8.9 < limit.value < 9.1
    for _ in range(20):
        limit.overloaded(limit.overloads, until=1.0)
    assert limit.value == 1


@given(st.lists(st.sampled_from(["ok", "overload", "fail"]), max_size=60), st.integers(1, 20))
def test_slots_are_kept(outcomes: list[str], most: int) -> None:
    """Whatever comes of them, slots in use never exceed the limit, none is lost, and all who wait are let in."""

    async def through() -> tuple[int, int, float]:
        pace = Pace(Limit(most), lambda: 0.0)
        seen = 0

        async def one(outcome: str) -> None:
            nonlocal seen
            slot = await pace.acquire()
            seen = max(seen, pace.in_flight)
            await asyncio.sleep(0)
            await pace.release(slot, overloaded=outcome == "overload", ok=outcome == "ok")

        await asyncio.wait_for(asyncio.gather(*(one(outcome) for outcome in outcomes)), 10)
        return seen, pace.in_flight, pace.limit.value

    most_seen, left, value = asyncio.run(through())
    assert most_seen <= most
    assert left == 0
    assert 1 <= value <= most


def test_cancelled_waiting_gives_way() -> None:
    """A line that is cancelled while it waits leaves no slot behind."""

    async def through() -> int:
        pace = Pace(Limit(1), lambda: 0.0)
        slot = await pace.acquire()
        waiting = [asyncio.ensure_future(pace.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await pace.release(slot)
        waiting[1].cancel()  # it was given the slot just now
        await asyncio.sleep(0)
        await asyncio.gather(*waiting, return_exceptions=True)
        return pace.in_flight

    assert asyncio.run(through()) == 1


def test_progress_without_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, a line now and then, and one at the end."""
    now = BatchProgress(
        total=10, done=4, failed=1, retries=2, in_flight=3, limit=8, tokens=50, seconds=2.0, done_before=0
    )
    with shown_progress() as tell:
        tell(now)
        tell(now)

    assert (
        capsys.readouterr().err
        == "4/10 lines, 2.0/s, 50 tokens (25/s), 1 failed, 2 retries, 3 of 8 in flight, 0:00:03 left\n"
    )


@pytest.mark.parametrize(
    ("row", "number"), [(b'{"id":"batch_req_12","x":1}', 12), (b'{"id":"batch_req_x"}', None), (b"", None)]
)
def test_numbers_of_rows(row: bytes, number: int | None) -> None:
    """A line of the output says which line of the input it answers."""
    assert done_number(row) == number


def test_pickles_hold_no_secrets(tmp_path: Path) -> None:
    """A job that has run is pickled without its key and without headers that hold any."""
    folder = Folder(tmp_path)
    written(folder.source, [request(0)])
    with InferenceServer() as server:
        job = BatchJob(endpoint_url=server.url, api_key="hf_secret1", default_headers={"X-Api-Key": "secret2"})
        folder.run(job)
        dumped = pickle.dumps(job)

    assert b"secret1" not in dumped
    assert b"secret2" not in dumped
    assert pickle.loads(dumped).endpoint_url == job.endpoint_url


@pytest.mark.parametrize("installed", [True, False])
def test_backend(installed: bool, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job takes aiohttp where it is installed and nobody has chosen another backend."""
    if not installed:
        monkeypatch.setattr(client_builders, "find_spec", lambda _: None)
    assert BatchJob(endpoint_url="http://h")._async_backend() == ("aiohttp" if installed else "httpx")
    assert BatchJob(endpoint_url="http://h", http_backend="httpx")._async_backend() == "httpx"
    monkeypatch.setenv("HF_INFERENCE_HTTP_BACKEND", "httpx")
    assert BatchJob(endpoint_url="http://h")._async_backend() == "httpx"
    assert BatchJob(endpoint_url="http://h")._options()["http_backend"] == "httpx"
