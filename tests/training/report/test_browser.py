"""The page in a real browser: no console message, no request, no sideways scrolling on a phone."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pytest

from sortgate_training.report.page import render_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on this machine"),
]
Make = Callable[..., Any]


def browse(page: str, folder: Path, *arguments: str) -> tuple[str, str, set[str]]:
    """Return the document, the console's messages and the addresses that the page asked for."""
    log = folder / "net.json"
    done = subprocess.run(
        [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--no-first-run", "--enable-logging=stderr", "--log-level=0",
         f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--dump-dom", *arguments, page],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    events = json.loads(log.read_text())["events"]
    # what the browser asks for on its own account has no page as its origin
    starts = [event["params"] for event in events if "initiator" in event.get("params", {})]
    asked = {start["url"] for start in starts if start["initiator"] != "not an origin"}
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return done.stdout, console, asked


def test_nothing_is_asked_for_and_nothing_is_said(tmp_path: Path, judged: Make, subject: Make) -> None:
    page = tmp_path / "report.html"
    page.write_bytes(render_report(subject(judged())))
    document, console, asked = browse(page.as_uri(), tmp_path)
    assert "</svg>" in document
    assert console == ""
    assert asked == set()


def test_the_checks_above_would_see_it(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<script>console.error('oh')</script><img src='http://127.0.0.1:9/x.png'>")
    _, console, asked = browse(page.as_uri(), tmp_path)
    assert "oh" in console
    assert "http://127.0.0.1:9/x.png" in asked


def test_a_phone_need_not_scroll_sideways(tmp_path: Path, judged: Make, subject: Make) -> None:
    labels = tuple(f"{'averylonglabelwithoutanybreak' * 3}{number}" for number in range(40))
    raw = render_report(subject(judged(400, labels), facts={"x" * 60: "y" * 300}))
    frame = tmp_path / "frame.html"
    # a window cannot be as narrow as a phone: a frame can
    frame.write_text(
        f'<iframe srcdoc="{escape(raw.decode())}" style="width:390px;height:800px;border:0"></iframe><p id=found></p>'
        "<script>onload=()=>{const page=document.querySelector('iframe').contentDocument.documentElement;"
        "found.textContent=`${page.clientWidth > 300} ${page.scrollWidth - page.clientWidth}`}</script>"
    )
    document, _, _ = browse(frame.as_uri(), tmp_path)
    assert '<p id="found">true 0</p>' in document
