"""One ONNX Runtime session, created in the process that uses it."""

from __future__ import annotations

import os
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from sortgate.bundle.onnx_check import check_onnx
from sortgate.errors import BundleFormatError, ConfigurationError, InferenceError
from sortgate.inference.runtime import import_onnxruntime

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]


class Session:
    """Runs the model in one process.

    The model is checked at once, but ONNX Runtime is only started by the first :meth:`run` (or by :meth:`start`), so a
    session made before a fork may be used after it, by one process or by several. A started one may not: its threads
    do not survive a fork, and ONNX Runtime would hang or crash. One that has no threads may, see :meth:`enter_copy`.

    Args:
        model: bytes of the ONNX file, digest already verified.
        threads: intra-op threads. One (the default) is best in a pool of processes: more compete for the same cores.

    Attributes:
        facts: what the check of the model found.
        threads: as given.

    Raises:
        UnsafeModelError: the model holds what we refuse to run.
    """

    def __init__(self, model: bytes, threads: int | None = None) -> None:
        self.facts = check_onnx(model)
        self.threads = threads or 1
        self._model: bytes | None = model
        self._started: Any = None
        self._pid = 0

    def start(self) -> None:
        """Create the session in this process, once.

        Raises:
            BundleFormatError: ONNX Runtime cannot load the model.
            ConfigurationError: ONNX Runtime is not installed, or the session was started before a fork.
        """
        if self._started is not None:
            self._check_process()
            return
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Shapes differ from batch to batch: a plan for each would be kept, and hardly ever used again.
        options.enable_mem_pattern = False
        # Threads that wait by spinning would take the cores of the pool's other processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._started = onnxruntime.InferenceSession(
                self._model,
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # it would print to stdout and try the same again
            )
        except Exception as error:  # ONNX Runtime's exceptions have no public base class
            raise BundleFormatError(f"ONNX Runtime cannot load the model: {_first_line(error)}") from None
        self._pid = os.getpid()
        self._model = None  # ONNX Runtime has its own copy

    def run(self, ids: IntArray, lengths: IntArray) -> FloatArray:
        """Return logits ``[batch, labels]`` for ids ``[batch, time]``, 0-padded, and lengths ``[batch]``, each ≥ 1.

        Raises:
            InferenceError: ONNX Runtime failed; the message holds no text.
            ConfigurationError: the session was started before a fork.
        """
        if self._started is None:
            self.start()
        self._check_process()
        try:
            logits: FloatArray = self._started.run(None, {"ids": ids, "lengths": lengths})[0]
        except Exception as error:
            raise InferenceError(f"ONNX Runtime failed on a batch {list(ids.shape)}: {_first_line(error)}") from None
        return logits

    def enter_copy(self) -> None:
        """Let this process, forked from the one that started the session, use it.

        Only where that process had a single thread, ONNX Runtime's and other libraries' included.
        """
        self._pid = os.getpid()

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise ConfigurationError(
                f"this classifier was started in process {self._pid} and cannot run in its child {os.getpid()}: "
                "load it after the fork, or with Classifier.load(path, golden=False) before it"
            )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session cannot be pickled: load the bundle where it is used")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
