"""cli/: what a user types, sees, and gets for an exit code. The doctor and the chat have files of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_batch import request, rows, written
from typing_at import Typed, interruptible

from langchain_hf_inference import __version__
from langchain_hf_inference.cli import main
from langchain_hf_inference.cli.serve import FAULTS, fault_of
from langchain_hf_inference.testing import Fault, InferenceServer


def test_batch(server: InferenceServer, tmp_path: Path, typed: Typed) -> None:
    """A file goes through; the last words tell what came of it; a second run has nothing to do."""
    source, output = written(tmp_path / "in.jsonl", [request(i) for i in range(5)]), tmp_path / "out.jsonl"

    first = typed("batch", source, output, "--endpoint-url", server.url)
    again = typed("batch", source, output, "--endpoint-url", server.url, "--json")

    assert (first.code, again.code, len(rows(output))) == (0, 0, 5)
    assert "5 answered, 0 failed" in first.err
    assert again.json["total"] == 5
    assert len(server.requests) == 5


def test_batch_with_failures(server: InferenceServer, tmp_path: Path, typed: Typed) -> None:
    """Failed lines make the exit code 1; they may be tried again."""
    source = written(tmp_path / "in.jsonl", [{"message": f"m{i}", "model": "m"} for i in range(3)])
    words = ("batch", source, tmp_path / "out.jsonl", "--endpoint-url", server.url, "--action", "chat_completion",
             "--max-concurrency", 1, "--max-attempts", 1, "--token", "hf_x")  # fmt: skip
    server.fail(Fault.of_status(500))

    assert typed(*words).code == 1
    assert typed(*words, "--retry-errors").code == 0
    assert server.requests[-1].headers["authorization"] == "Bearer hf_x"


def test_action(server: InferenceServer, tmp_path: Path, typed: Typed) -> None:
    """An action is run from JSON or from a file, with a context; its schema is printed."""
    data = {"message": "Hello {{name}}", "maxTokens": "64"}
    (tmp_path / "a.json").write_text(json.dumps(data))
    for given in (json.dumps(data), f"@{tmp_path / 'a.json'}"):
        done = typed(
            "action", "run", "chat_completion", given, "--context", '{"name": "Ann"}', "--endpoint-url", server.url
        )
        assert done.json["choices"][0]["message"]["content"] == "You said: Hello Ann"
    assert "temperature" in typed("action", "schema", "chat_completion").json["properties"]
    in_a_line = typed("action", "schema", "embeddings", "--accepts", "--json")
    assert "input" in in_a_line.json["properties"]
    assert in_a_line.out.count("\n") == 1
    assert typed("action", "run", "chat_completion", "[1]").code == 2
    assert typed("action", "run", "chat_completion", "{").code == 2


def test_n8n(tmp_path: Path, typed: Typed) -> None:
    """A workflow's sub-nodes are told, notes and settings, for people and for programs."""
    node = {"name": "Model", "type": "@n8n/n8n-nodes-langchain.lmOpenHuggingFaceInference",
            "parameters": {"model": "={{ $json.m }}", "options": {"presencePenalty": 1}}}  # fmt: skip
    (tmp_path / "w.json").write_text(json.dumps({"nodes": [node], "connections": {}}))
    words = ("n8n", tmp_path / "w.json", "--items", '[{"m": "org/name"}]')

    (told,) = typed(*words, "--json").json
    read = typed(*words).out

    assert (told["name"], told["kind"], told["class"], told["settings"]["model"]) == (
        "Model",
        "llm",
        "HFInferenceLLM",
        "org/name",
    )
    assert told["notes"] == ["presencePenalty has no effect in n8n: it is not sent"]
    assert read.startswith("Model: HFInferenceLLM(details=False, model='org/name'), for nobody\n")
    assert "  note: presencePenalty has no effect" in read


def test_models_of_a_server(typed: Typed) -> None:
    """A server's own models are listed, those whose name fits."""
    with InferenceServer(models=["org/one", "org/two"]) as server:
        assert typed("models", "--endpoint-url", server.url, "--json").json == [
            {"model": "org/one"},
            {"model": "org/two"},
        ]
        assert typed("models", "TWO", "--endpoint-url", server.url).out.split() == ["model", "org/two"]


@pytest.mark.usefixtures("internet")
def test_models_of_the_router(typed: Typed) -> None:
    """The router's models come with providers and prices; a provider that serves none leaves none."""
    (row,) = typed("models", "--json").json
    shown = typed("models", "--tools", "--sort", "price").out

    assert (row["model"], row["provider"], row["input_price"], row["context_length"]) == (
        "scripted/chat",
        "scripted",
        1.0,
        4096,
    )
    assert re.search(r"scripted/chat +scripted +1\.00 +2\.00 +4,096 +yes +yes +\?", shown)
    assert typed("models", "--provider", "groq", "--json").json == []


def test_models_known(typed: Typed) -> None:
    """Our own data is listed without asking anybody."""
    rows = typed("models", "qwen3-32b", "--known", "--tools", "--json").json

    assert [row["model"] for row in rows] == ["Qwen/Qwen3-32B"]
    assert rows[0]["context"] > 0
    lengths = [row["context"] for row in typed("models", "--known", "--sort", "context", "--json").json]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["batch", "/no/such/file.jsonl", "out.jsonl", "--model", "m"], "there is no file", 2),
        (
            ["action", "run", "chat_completion", '{"model": "m", "message": "x", "temperature": "hot"}'],
            "temperature: 'hot' is no number",
            2,
        ),
        (["action", "run", "chat_completion", '{"message": "{{x}}"}'], "message: {{x}} is not resolved", 2),
        (["chat", "-m", "Hello"], "no model is named: give MODEL", 2),
        (["chat", "m", "-m", "Hello", "--temperature", "-1"], "temperature: Input should be greater than", 2),
        (["chat", "m", "-m", "Hello"], "there is no Hugging Face token", 2),
        (["chat", "m", "-m", "Hello", "--endpoint-url", "http://127.0.0.1:9"], "could not connect", 1),
        (["chat", "m", "-m", "Hello", "--set", "temperature"], "is not NAME=VALUE", 2),
        (["models", "--endpoint-url", "http://127.0.0.1:9"], "could not connect", 1),
        (["models", "--endpoint-url", "nowhere"], "is not an http(s) URL", 2),
        (["models", "--endpoint-url", "http://127.0.0.1:9", "--tools"], "no --tools, --sort, --provider", 2),
        (["models", "--known", "--sort", "price"], "--known has neither providers, prices nor speeds", 2),
        (["serve-scripted", "--fault", "sparks"], "'sparks' is none of", 2),
        (["nothing"], "No such command", 2),
    ],
)
def test_mistakes_have_no_trace(words: list[str], said: str, code: int, typed: Typed) -> None:
    """A mistake, or a failure, is told in a line, to people and to programs, with an exit code that tells them apart."""
    done, as_json = typed(*words), typed(*words, "--json")

    assert (done.code, as_json.code) == (code, code)
    assert said in done.err
    assert "Traceback" not in done.err
    told = json.loads(as_json.out.splitlines()[-1])
    assert said in (told["error"] or told)["message"]


def test_version_and_module() -> None:
    """`python -m langchain_hf_inference --version` says what it is."""
    done = subprocess.run(
        [sys.executable, "-m", "langchain_hf_inference", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == f"hf-inference, version {__version__}"


def test_json_everywhere() -> None:
    """Every command but the one that prints a shell's script takes --json."""
    leaves = [(name, one) for name, one in main.commands.items() if name != "completion"]
    leaves = [(n, o) for name, one in leaves for n, o in (getattr(one, "commands", None) or {name: one}).items()]

    assert len(leaves) == 9
    for name, command in leaves:
        assert "--json" in {option for parameter in command.params for option in parameter.opts}, name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, typed: Typed) -> None:
    """The script for a shell names the program."""
    assert "_HF_INFERENCE_COMPLETE" in typed("completion", shell).out


def test_completes_models_and_commands() -> None:
    """Commands and Hub ids are completed."""
    for words, found in [("hf-inference ser", "serve-scripted"), ("hf-inference chat qwen/qwen3-32", "Qwen/Qwen3-32B")]:
        environment = {**os.environ, "_HF_INFERENCE_COMPLETE": "fish_complete", "COMP_WORDS": words,
                       "COMP_CWORD": words.split()[-1]}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", "from langchain_hf_inference.cli import run; run()"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert found in done.stdout


def test_a_closed_pipe_has_no_trace() -> None:
    """What `| head` leaves unread is no failure that anybody has to read of."""
    done = subprocess.run(
        f"{sys.executable} -m langchain_hf_inference action schema chat_completion | head -n 1",
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("{\n", "")


@pytest.mark.parametrize("text", [*FAULTS, "429", "503*3"])
def test_faults_by_name(text: str) -> None:
    """Each fault has a name, and may be wanted more than once."""
    fault, times = fault_of(text)

    assert isinstance(fault, Fault)
    assert times == (3 if "*" in text else 1)


def test_serve_scripted() -> None:
    """The scripted server runs until Ctrl-C, shows what was asked of it, and one line for each request."""
    words = [
        sys.executable,
        "-m",
        "langchain_hf_inference",
        "serve-scripted",
        "--port",
        "0",
        "--json",
        "--fault",
        "429",
    ]
    server = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
    )
    try:
        assert server.stdout
        url = json.loads(server.stdout.readline())["url"]
        asking = [sys.executable, "-m", "langchain_hf_inference", "chat", "m", "-m", "Hello", "--endpoint-url", url]
        asked = subprocess.run(asking, capture_output=True, text=True, check=True)
        lines = [json.loads(server.stdout.readline()) for _ in range(2)]  # refused, and asked again
        time.sleep(0.2)
        server.send_signal(signal.SIGINT)
        code = server.wait(10)
    finally:
        server.kill()

    assert asked.stdout == "You said: Hello\n"
    assert [line["body"]["model"] for line in lines] == ["m", "m"]
    assert code == 130


def test_serve_tiny_knows_its_engines(typed: Typed) -> None:
    """An engine that is not there is a mistake; starting one is tested with the engines."""
    assert "'gpt' is none of mlx, llama" in typed("serve-tiny", "--engine", "gpt").err


SECRET = "s3cr3tK3y"
COMMANDS = [
    ["doctor", "org/name", "--token", f"gsk_{SECRET}"],
    ["doctor", "org/name:groq", "--token", f"gsk_{SECRET}"],
    ["doctor", "org/name", "--provider", "unheard-of", "--token", f"gsk_{SECRET}"],
    ["doctor", "--endpoint-url", f"http://user:{SECRET}@[h"],
    ["doctor", "--endpoint-url", f"user:{SECRET}@h"],
    ["doctor", "--endpoint-url", f"http://user:{SECRET}@127.0.0.1:9"],
    ["models", "--token", f"gsk_{SECRET}"],
    ["models", "--token", f"HF_{SECRET}"],
    ["models", "--endpoint-url", f"http://user:{SECRET}@127.0.0.1:9"],
    ["chat", "org/name", "-m", "Hello", "--token", f"sk-{SECRET}"],
    ["chat", "org/name", "-m", "Hello", "--token", f"hf_{SECRET}\u200b"],
    ["chat", f"http://user:{SECRET}@127.0.0.1:9", "-m", "Hello"],
    ["chat", f"user:{SECRET}@127.0.0.1:9", "-m", "Hello"],
    ["chat", "org/name", "-m", "Hello", "--set", f'default_headers={{"X-Api-Key": "{SECRET}\u00e9"}}'],
    ["chat", "org/name", "-m", "Hello", "--set", f"api key={SECRET}"],
    ["chat", "org/name", "-m", "Hello", "--set", f"groq_api_key={SECRET}"],
]


@pytest.mark.usefixtures("internet")
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words).replace(SECRET, "…"))
def test_secrets(words: list[str], as_json: bool, server: InferenceServer, typed: Typed) -> None:
    """A command that fails shows no secret, and sends another company's key to nobody but its owner."""
    done = typed(*words, *(["--json"] if as_json else []))

    assert done.code != 0 or "org/name:groq" in words
    assert SECRET not in done.out + done.err
    sent = [request for request in server.requests if SECRET in str(request.headers)]
    assert {request.path for request in sent} <= {"/openai/v1/chat/completions"}
    assert not sent or "org/name:groq" in words
