"""Make the terminal recording of the README: python docs/_site/recording.py docs/images/terminal.svg [ENGINE].

A shell on a terminal of its own, an engine that serves the tiny model, and what a user would type; written down as
asciinema does, and drawn by termtosvg.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
WIDTH, HEIGHT, PORT = 100, 26, 8000
PROMPT = "$ "


class Recording:
    """A shell, and what it showed when."""

    def __init__(self) -> None:
        self._fd, far = pty.openpty()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": tempfile.mkdtemp(), "PS1": PROMPT, "TERM": "xterm-256color", "LANG": "C.UTF-8",
                       "COLUMNS": str(WIDTH), "LINES": str(HEIGHT), "COLORTERM": "truecolor"}  # fmt: skip
        subprocess.run(["stty", "rows", str(HEIGHT), "cols", str(WIDTH)], stdin=far, check=True)
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=far,
            stdout=far,
            stderr=far,
            env=environment,
            start_new_session=True,
        )
        os.close(far)
        self._begun, self._idle = time.monotonic(), 0.0
        self.rows: list[tuple[float, str]] = []

    def until(self, pattern: str, seconds: float = 60.0) -> None:
        """Record until `pattern` is shown."""
        shown, until = "", time.monotonic() + seconds
        while not re.search(pattern, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)):
            if time.monotonic() > until:
                raise TimeoutError(f"no {pattern!r} in {shown!r}")
            if select.select([self._fd], [], [], 0.1)[0]:
                text = os.read(self._fd, 65536).decode("utf-8", "replace")
                shown += text
                self.rows.append((time.monotonic() - self._begun, text))

    def type(self, text: str) -> None:
        """Type as a person does."""
        for letter in text + "\r":
            time.sleep(0.03)
            os.write(self._fd, letter.encode())
            if select.select([self._fd], [], [], 0.02)[0]:
                self.rows.append((time.monotonic() - self._begun, os.read(self._fd, 65536).decode("utf-8", "replace")))

    def pause(self, seconds: float) -> None:
        """Leave time to read."""
        time.sleep(seconds)

    def cast(self) -> str:
        """Give it in asciinema's format."""
        head = {"version": 2, "width": WIDTH, "height": HEIGHT}
        return "\n".join([json.dumps(head), *(json.dumps([round(at, 3), "o", text]) for at, text in self.rows)]) + "\n"


def main() -> None:
    import engines

    target, engine = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "llama"
    with engines.serving(engine, PORT):
        recording = Recording()
        recording.until(r"\$ $")
        recording.type(f"hf-inference doctor --endpoint-url http://localhost:{PORT}")
        recording.until(r"(well|works|beside)[^$]*\$ $")
        recording.pause(3)
        recording.type(f"hf-inference chat --endpoint-url http://localhost:{PORT}")
        recording.until("> $")
        for question in ("What is the capital of France?", "What is the capital of Italy?"):
            recording.type(question)
            recording.until("all after(?s:.*)> $")
            recording.pause(2)
        recording.type("/exit")
        recording.until(r"\$ $")
        recording.pause(2)
    with tempfile.TemporaryDirectory() as folder:
        cast = Path(folder) / "terminal.cast"
        cast.write_text(recording.cast())
        subprocess.run(
            [
                sys.executable,
                "-m",
                "termtosvg",
                "render",
                str(cast),
                str(target),
                "-M",
                "4000",
                "-m",
                "40",
                "-t",
                "window_frame",
            ],
            check=True,
        )


if __name__ == "__main__":
    main()
