"""A page in headless Chromium: what a probe found after its scripts had run, and what it logged."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["CHROMIUM", "Visit", "visit"]

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # the browser's own requests go nowhere
    "--virtual-time-budget=20000",
    "--enable-logging=stderr",
)
REPORT = "probe-report"
NARROWEST = 500  # pixels of a window; a narrower page is shown in a frame

FRAME = (
    "<!doctype html><body><iframe src='{page}' style='width:{width}px;height:{height}px;border:0'></iframe>"
    "<script>addEventListener('message', (event) => {{"
    " const pre = document.createElement('pre'); pre.id = '{report}';"
    " pre.textContent = event.data; document.body.append(pre); }});</script></body>"
)


@dataclass(frozen=True)
class Visit:
    """What came of opening a page: the probe's answer, and what the page wrote to the console."""

    answer: Any
    console: list[str]


def visit(page: Path, probe: str, folder: Path, size: tuple[int, int] = (1400, 900)) -> Visit:
    """Open a copy of ``page`` beside it, with ``probe`` (the body of an asynchronous JavaScript function that
    returns something JSON can hold) run after it has loaded. ``folder`` is for the browser's own files."""
    script = (
        "<script>window.addEventListener('load', async () => {"
        "let answer; try { answer = await (async () => {"
        + probe
        + "})(); } catch (e) { answer = {error: String(e)}; }"
        f"const pre = document.createElement('pre'); pre.id = '{REPORT}';"
        "pre.textContent = JSON.stringify(answer); document.body.append(pre); });</script>"
    )
    copy = page.with_name(f".probe-{page.name}")
    framed = size[0] < NARROWEST
    if framed:
        told = f"parent.postMessage(document.getElementById('{REPORT}').textContent, '*')"
        script += f"<script>addEventListener('load', () => setTimeout(() => {told}, 1000))</script>"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", script + "</body>"), encoding="utf-8")
    frame = page.with_name(f".frame-{page.name}")
    frame.write_text(FRAME.format(page=copy.name, width=size[0], height=size[1], report=REPORT), encoding="utf-8")
    own = [f"--user-data-dir={folder / 'profile'}", f"--window-size={size[0]},{size[1]}"]
    try:
        done = subprocess.run(
            [CHROMIUM, *OPTIONS, *own, "--dump-dom", (frame if framed else copy).absolute().as_uri()],
            capture_output=True,
            text=True,
            timeout=240,
        )
    finally:
        copy.unlink()
        frame.unlink()
    found = re.search(rf'<pre id="{REPORT}">(.*?)</pre>', done.stdout, re.S)
    assert found, f"the page gave no answer: {done.stderr[-2000:]}"
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Visit(json.loads(html.unescape(found[1])), console)
