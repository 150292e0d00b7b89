"""A real browser without a window: Chromium, where it is, or installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def ensure() -> str | None:
    """Give the path of Chromium; None for the one that playwright brings.

    CHROME names it. Else it is looked for on the PATH; else root on Debian gets it from the package index, and
    anybody else from playwright.
    """
    found = os.environ.get("CHROME") or next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    print("installing Chromium (once)", file=sys.stderr, flush=True)
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True, **QUIET)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True, env=environment, **QUIET)
        return shutil.which("chromium")
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    return None


@contextmanager
def browsing(width: int = 1280, height: int = 1000) -> Iterator[Any]:
    """Open a page; what it complains of is gathered in `page.complaints`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=ensure(), args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.complaints = []
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
            yield page
        finally:
            browser.close()


if __name__ == "__main__":
    ensure()
