"""The FastAPI example on `uvicorn[standard]`, whose event loop is uvloop, end to end (`make test-uvloop`)."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvloop

from langchain_hf_inference import ChatHFInference
from langchain_hf_inference.testing import InferenceServer

EXAMPLES = Path(__file__).parents[2] / "examples"
APP = """
import asyncio
import os
from fastapi_sse import app_of
from langchain_hf_inference import ChatHFInference

app = app_of(ChatHFInference(endpoint_url=os.environ["HF_INFERENCE_URL"], model="m", http_backend=os.environ["BACKEND"]))

@app.get("/loop")
async def loop() -> str:
    return type(asyncio.get_running_loop()).__module__
"""


@contextmanager
def served(tmp_path: Path, **environment: str) -> Iterator[str]:
    """Run the example's application with `uvicorn` as its command line starts it."""
    (tmp_path / "service.py").write_text(APP)
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port), "--log-level", "warning"]
    paths = os.pathsep.join([str(tmp_path), str(EXAMPLES), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths, **environment})
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                httpx.get(f"{url}/loop")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("http_backend", ["httpx", "aiohttp"])
def test_fastapi(http_backend: str, tmp_path: Path) -> None:
    """Streams arrive in pieces, twenty at once, on uvloop."""
    with InferenceServer() as server, served(tmp_path, HF_INFERENCE_URL=server.url, BACKEND=http_backend) as url:
        assert httpx.get(f"{url}/loop").json() == "uvloop"

        async def ask(client: httpx.AsyncClient, number: int) -> list[tuple[str, str]]:
            response = await client.get(f"{url}/ask", params={"question": f"number {number}"}, timeout=30)
            return re.findall(r"event: (\w+)\ndata: (.*)\n", response.text)

        async def all_of_them() -> list[list[tuple[str, str]]]:
            async with httpx.AsyncClient() as client:
                return await asyncio.gather(*(ask(client, number) for number in range(20)))

        for number, events in enumerate(asyncio.run(all_of_them())):
            pieces = [json.loads(data) for name, data in events if name == "text"]
            assert "".join(pieces) == f"You said: number {number}"
            assert len(pieces) > 2
            assert events[-1][0] == "done"


@pytest.mark.parametrize("how", ["uvloop.run", "loop.close"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_loops_leave_nothing(how: str) -> None:
    """Event loops of uvloop that have ended are not kept."""
    seen: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def call() -> None:
        seen.append(weakref.ref(asyncio.get_running_loop()))
        assert (await model.ainvoke("Hello")).text == "You said: Hello"

    with InferenceServer() as server:
        model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai")
        for _ in range(20):
            if how == "uvloop.run":
                uvloop.run(call())
            else:
                loop = uvloop.new_event_loop()
                loop.run_until_complete(call())
                loop.close()
                del loop
    gc.collect()
    gc.collect()
    assert [ref for ref in seen if ref() is not None] == []
