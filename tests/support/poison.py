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

class Behind:
    wants_text = True

    def __call__(self, prediction, text):
        poison(text)
        return prediction

@hookimpl
def sortgate_register_normalizers(register):
    register("test.plugin.v1", lambda: poison)

@hookimpl
def sortgate_register_postprocessors(register):
    register("test.behind.v1", Behind)
"""


def with_plugin(make_bundle: Callable[..., Path], folder: Path, source: str, *, behind: bool = False) -> dict[str, Any]:
    """Write a bundle that uses a plugin's component; returns what a worker needs to serve it.

    The component is a normalizer, or with ``behind`` a post-processor, which comes after the model.
    """
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "plugin.py").write_text(source)
    place = {"postprocessors": ["test.behind.v1"]} if behind else {"normalizers": ["test.plugin.v1"]}
    make_bundle(folder / "models" / "toy", plugins_dir=plugins, **place)
    return {"models": folder / "models", "SORTGATE_PLUGINS_DIR": str(plugins)}
