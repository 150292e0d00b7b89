"""What is typed at `hf-inference`, and what it says."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed."""
        return json.loads(self.out)


Typed = Callable[..., Done]


def interruptible() -> None:
    """Let Ctrl-C end a process that is started with this for its `preexec_fn`.

    What runs in the background of a script, as this may, hands on that Ctrl-C is not for it.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
