"""Bundles that use a plugin's component, among them one that starves, hangs or crashes its process on demand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

POISON_PLUGIN = """
import ctypes, os, re, signal, time
from sortgate import hookimpl

def poison(text):
    if "segfault" in text: ctypes.string_at(0)
    if "killme" in text: os.kill(os.getpid(), signal.SIGKILL)
    if "hangs" in text: time.sleep(600)
    if "redos" in text: re.fullmatch("(a+)+b", "a" * 60)
    if "raises" in text: raise RuntimeError("this text: " + text)
    if "eats" in text:
        eaten = [bytearray(50_000_000) for _ in range(1000)]
    return text

@hookimpl
def sortgate_register_normalizers(register):
    register("test.plugin.v1", lambda: poison)
"""


def with_plugin(make_bundle: Callable[..., Path], folder: Path, source: str) -> dict[str, Any]:
    """Write a bundle that uses a plugin's component; returns what a worker needs to serve it."""
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "plugin.py").write_text(source)
    make_bundle(folder / "models" / "toy", normalizers=["test.plugin.v1"], plugins_dir=plugins)
    return {"models": folder / "models", "SORTGATE_PLUGINS_DIR": str(plugins)}
