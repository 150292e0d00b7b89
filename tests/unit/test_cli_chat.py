"""cli/chat.py, conversation.py, screen.py: talking in a pipe, as JSON, and on a real terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from typing_at import Typed, interruptible

from langchain_hf_inference.testing import Fault, InferenceServer

THINKING = ("--set", 'chat_template_kwargs={"enable_thinking": true}')
DONE = r"all after(?s:.*)> $"
"""The end of an answer, and the next prompt."""


def test_in_a_pipe(server: InferenceServer, typed: Typed) -> None:
    """The text goes to stdout, and nothing else; reasoning, tokens and times go to stderr."""
    done = typed("chat", "m", "-m", "Hello", "--endpoint-url", server.url, *THINKING)
    piped = typed("chat", "m", "--endpoint-url", server.url, piped="Good day")

    assert (done.out, piped.out) == ("You said: Hello\n", "You said: Good day\n")
    assert done.err.startswith("I was asked: Hello\n")
    assert re.search(r"2 \+ 7 tokens .*first after \d+ ms", done.err)
    assert typed("chat", "m", "--endpoint-url", server.url, piped=" ").code == 2


def test_every_setting_is_sent(server: InferenceServer, typed: Typed) -> None:
    """What is typed reaches the wire, 0 included."""
    options = ("--temperature", 0, "--max-tokens", 50, "--top-p", 0.5, "--top-k", 3, "--frequency-penalty", 0,
               "--presence-penalty", -1, "--seed", 0, "--reasoning-effort", "low", "--set", "min_p=0.1",
               "--set", 'stop=["END"]', "--set", "user=ann", "--system", "Be brief.")  # fmt: skip

    assert typed("chat", "m", "-m", "Hello", "--endpoint-url", server.url, *options).code == 0

    body = server.requests[-1].body
    sent = {name: body[name] for name in body if name not in ("messages", "model", "stream", "stream_options")}
    assert sent == {"temperature": 0, "max_tokens": 50, "top_p": 0.5, "top_k": 3, "frequency_penalty": 0,
                    "presence_penalty": -1, "seed": 0, "reasoning_effort": "low", "min_p": 0.1, "stop": ["END"],
                    "user": "ann"}  # fmt: skip
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.usefixtures("internet")
def test_json_and_price(typed: Typed) -> None:
    """As JSON an answer has all that is known of it, its price on the router among it."""
    told = typed("chat", "org/name", "-m", "Hello", "--json", *THINKING).json

    assert (told["text"], told["reasoning"], told["finish_reason"]) == ("You said: Hello", "I was asked: Hello", "stop")
    assert told["cost"]["total"] == pytest.approx(
        (told["usage"]["input_tokens"] + 2 * told["usage"]["output_tokens"]) / 1e6
    )
    assert told["error"] is None
    assert "$0.0000" in typed("chat", "org/name", "-m", "Hello").err


def test_compare(server: InferenceServer, typed: Typed) -> None:
    """Two models are asked the same; one that fails does not hide the other's answer."""
    words = ("chat", "one", "--compare", "two", "-m", "Hello", "--endpoint-url", server.url)

    both = typed(*words, "--json").json["answers"]
    shown = typed(*words)

    assert [answer["model"] for answer in both] == ["one", "two"]
    assert sorted(request.body["model"] for request in server.requests[:2]) == ["one", "two"]
    assert (shown.code, shown.out) == (0, "## one\n\nYou said: Hello\n\n## two\n\nYou said: Hello\n\n")
    with InferenceServer() as other:
        server.fail(Fault.of_status(400))
        done = typed("chat", "one", "--compare", other.url, "-m", "Hello", "--endpoint-url", server.url, "--json")
    assert done.code == 1
    assert [answer["error"] and answer["error"]["status"] for answer in done.json["answers"]] == [400, None]


def test_a_broken_answer_is_shown(server: InferenceServer, typed: Typed) -> None:
    """What had come before a stream broke off is printed, and the failure told."""
    server.fail(Fault.cut_stream(after_events=3))

    done = typed("chat", "m", "-m", "Hello there", "--endpoint-url", server.url)

    assert (done.code, done.out) == (1, "You said:\n")
    assert "was interrupted" in done.err


class Terminal:
    """A command on a terminal of its own, 24 lines of 100 columns."""

    def __init__(self, *words: str) -> None:
        self._fd, far = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "24"}
        environment.pop("NO_COLOR", None)
        command = [sys.executable, "-m", "langchain_hf_inference", *words]
        self._process = subprocess.Popen(
            command,
            stdin=far,
            stdout=far,
            stderr=far,
            env=environment,
            start_new_session=True,
            preexec_fn=interruptible,
        )
        os.close(far)
        self.raw = ""

    def until(self, pattern: str, seconds: float = 20) -> str:
        """Read until `pattern` has been shown since the last call; gives the text since then, without its colours."""
        begun, until = len(self.raw), time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self._fd], [], [], 0.1)[0]:
                try:
                    self.raw += os.read(self._fd, 65536).decode("utf-8", "replace")
                except OSError:  # it has ended
                    break
            if re.search(pattern, plain(self.raw[begun:])):
                return plain(self.raw[begun:])
        raise AssertionError(f"no {pattern!r} in {plain(self.raw[begun:])!r}")

    def type(self, text: str, end: bytes = b"\n") -> None:
        os.write(self._fd, text.encode() + end)

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def ended(self) -> int:
        return self._process.wait(10)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_on_a_terminal(server: InferenceServer) -> None:
    """A conversation: Markdown, dimmed reasoning, a footer, /system, /clear, Ctrl-C in an answer, and Ctrl-D."""
    terminal = Terminal("chat", "m", "--endpoint-url", server.url, *THINKING)
    terminal.until(r"Ctrl-D ends\s+> ")

    terminal.type("Hello **you**")
    shown = terminal.until(DONE)
    assert "You said: Hello you" in shown
    assert "\x1b[2;3mI was asked: Hello **you**" in terminal.raw
    assert "\x1b[1myou" in terminal.raw

    terminal.type("/system Be brief.")
    terminal.until(r"system: Be brief\.\s+> ")
    terminal.type("And I?")
    terminal.until(r"You said: And I\?(?s:.*)" + DONE)
    assert [m["role"] for m in server.requests[-1].body["messages"]] == ["system", "user"], "/system begins anew"
    terminal.type("And they?")
    terminal.until(r"You said: And they\?(?s:.*)" + DONE)
    assert [m["content"] for m in server.requests[-1].body["messages"]] == [
        "Be brief.", "And I?", "You said: And I?", "And they?"]  # fmt: skip

    server.fail(Fault.of_status(400, "scripted refusal"))
    terminal.type("Fail")
    terminal.until(r"scripted refusal(?s:.*)> ")
    server.chunk_delay = 0.3
    terminal.type("A long question that is said back slowly")
    terminal.until("I was asked: A")  # the answer: what was typed is shown by the terminal itself
    terminal.interrupt()
    terminal.until(r"stopped; neither(?s:.*)> ")
    server.chunk_delay = 0.0
    terminal.type("/clear")
    terminal.until("forgotten(?s:.*)> ")
    terminal.type("/help")
    terminal.until(r"/clear forgets(?s:.*)> ")
    terminal.type("/exit")
    assert terminal.ended() == 0


def test_compare_on_a_terminal(server: InferenceServer) -> None:
    """Two answers stand side by side, each in its frame."""
    terminal = Terminal("chat", "one", "--compare", "two", "--endpoint-url", server.url)
    terminal.until("> ")
    terminal.type("Hello")
    shown = terminal.until(r"(?s)╰─.*╰─[^\n]*\n.*> $")

    assert re.search(r"╭─ one ─+╮ +╭─ two ─+╮", shown)
    assert re.search(r"│ You said: Hello +│ +│ You said: Hello", shown)
    terminal.type("\x04", end=b"")
    assert terminal.ended() == 0
