"""Imports ONNX Runtime, and keeps it from reporting about its users.

Since 1.29 its Linux and macOS builds tell their maker about each process, session and model, by default
(onnxruntime pull request 27379): importing one opens a data base under the user's cache folder and starts a thread.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from sortgate.errors import ConfigurationError

#: Read once, as ONNX Runtime is imported; whoever wants its telemetry sets it to 0.
_NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"


def turn_off_telemetry() -> None:
    """Have ONNX Runtime be imported without, unless the environment says otherwise; a plugin may be first to do so."""
    os.environ.setdefault(_NO_TELEMETRY, "1")


def import_onnxruntime(module: str = "onnxruntime") -> Any:
    """Return ONNX Runtime, or a module of it, with its telemetry off; every import of ours goes through here.

    Raises:
        ConfigurationError: ONNX Runtime is not installed.
    """
    turn_off_telemetry()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "onnxruntime":
            raise
        raise ConfigurationError('ONNX Runtime is not installed: pip install "sortgate[inference]"') from None
