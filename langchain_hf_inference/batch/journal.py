"""The files of a batch job: lines that are written whole or not at all, and what is done already.

Output and errors are only appended to, one write a line, and each line names the line of the input that it answers.
So the two are the journal themselves: after a kill, wherever it hit, a torn last line is cut off, and what stands there
is done. `<output>.journal` holds what the input was, so that a job does not go on with another file, and is locked
while a job runs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

from langchain_hf_inference.batch.lines import done_number
from langchain_hf_inference.errors import ConfigurationError

_BLOCK = 1 << 20


class Journal:
    """Open as a context manager; `pending` gives the lines to do, `succeeded` and `failed` keep what came of them."""

    def __init__(self, source: Path, output: Path, errors: Path, *, retry_errors: bool, overwrite: bool) -> None:
        if len({path.resolve() for path in (source, output, errors)}) < 3:
            raise ConfigurationError("input, output and errors must be three files")
        self._source, self._output, self._errors = source, output, errors
        self._header = output.with_name(output.name + ".journal")
        self._retry_errors, self._overwrite = retry_errors, overwrite
        self._files: list[BinaryIO] = []
        self.total = self.done = self.failed_before = 0
        self._bits = bytearray()

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Bring all to disk."""
        for file in self._files:
            os.fsync(file.fileno())
            file.close()
        self._files = []

    def pending(self) -> Iterator[tuple[int, bytes]]:
        """Give number and text of each line that is not done; blank lines are none."""
        with self._source.open("rb") as lines:
            for number, line in enumerate(lines):
                if line.strip() and not self._is_done(number):
                    yield number, line

    def succeeded(self, row: bytes) -> None:
        """Keep an answer."""
        _append(self._files[1], row)

    def failed(self, row: bytes) -> None:
        """Keep a failure."""
        _append(self._files[2], row)

    def _open(self) -> None:
        if not self._source.is_file():
            raise ConfigurationError(f"there is no file {self._source}")
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._files.append(self._header.open("a+b"))
        _lock(self._files[0], self._header)
        if self._overwrite:
            for path in (self._output, self._errors):
                path.unlink(missing_ok=True)
            self._files[0].truncate(0)
        numbers, lines = _counted(self._source)
        self._check_header(
            {"version": 1, "bytes": self._source.stat().st_size, "lines": numbers, "sha256": _digest(self._source)}
        )
        self.total, self._bits = lines, bytearray(numbers // 8 + 1)
        if self._retry_errors:
            self._errors.unlink(missing_ok=True)
        self.done = self._recovered(self._output)
        self.failed_before = self._recovered(self._errors)
        self.done += self.failed_before

    def _check_header(self, now: dict[str, Any]) -> None:
        header = self._files[0]
        header.seek(0)
        before = header.read()
        if not before.strip():
            if any(path.exists() and path.stat().st_size for path in (self._output, self._errors)):
                raise ConfigurationError(
                    f"{self._output} is there, and no journal of it: give another output, or overwrite it"
                )
            header.truncate(0)
            header.write(json.dumps(now).encode() + b"\n")
            header.flush()
            os.fsync(header.fileno())
        elif json.loads(before) != now:
            raise ConfigurationError(
                f"{self._source} is not the file that {self._output} was begun with; give another output, or overwrite it"
            )

    def _recovered(self, path: Path) -> int:
        """Open a file to go on with: cut a torn last line off, mark what is done, give how much."""
        file = path.open("a+b", buffering=0)
        self._files.append(file)
        file.seek(0)
        count = whole = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # torn by a kill
                number = done_number(line)
                if number is None or number // 8 >= len(self._bits):
                    raise ConfigurationError(f"{path} holds lines of another job; give another output, or overwrite it")
                whole += len(line)
                if not self._is_done(number):
                    self._bits[number // 8] |= 1 << number % 8
                    count += 1
        file.truncate(whole)
        return count

    def _is_done(self, number: int) -> bool:
        return bool(self._bits[number // 8] >> number % 8 & 1)


def _append(file: BinaryIO, row: bytes) -> None:
    view = memoryview(row)
    while view:
        view = view[os.write(file.fileno(), view) :]


def _counted(path: Path) -> tuple[int, int]:
    """Count the lines of a file, and those that are not blank."""
    count = filled = 0
    with path.open("rb") as lines:
        for line in lines:
            count += 1
            filled += not line.isspace()
    return count, filled


def _digest(path: Path) -> str:
    """Give the digest of a file's beginning and end: enough to tell files apart, and soon done."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        found.update(file.read(_BLOCK))
        file.seek(max(0, path.stat().st_size - _BLOCK))
        found.update(file.read(_BLOCK))
    return found.hexdigest()


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep a second job off the same output; the lock goes with the process, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigurationError(f"another job is writing beside {path}") from None
