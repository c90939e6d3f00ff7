"""One ONNX Runtime session, created in the process that uses it."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from sortgate.bundle.onnx_check import check_onnx
from sortgate.errors import BundleFormatError, SortgateError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]


class Session:
    """Runs the model on one process's threads.

    Args:
        model: bytes of the ONNX file, digests already verified; checked here before ONNX Runtime sees them.
        threads: intra-op threads. One is best in a pool of processes: more would compete for the same cores.

    Raises:
        UnsafeModelError: the model holds what we refuse to run.
        BundleFormatError: ONNX Runtime cannot load it, or its inputs and outputs are not those of a bundle.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        check_onnx(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Shapes differ from batch to batch: a plan for each would only be kept, and never used again.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no public base class
            raise BundleFormatError(f"model.onnx cannot be loaded: {str(error).splitlines()[0]}") from None
        inputs = {node.name for node in self._session.get_inputs()}
        outputs = [node.name for node in self._session.get_outputs()]
        if inputs != {"ids", "lengths"} or outputs != ["logits"]:
            raise BundleFormatError("model.onnx must take ids and lengths and give logits")
        self._pid = os.getpid()

    def run(self, ids: IntArray, lengths: IntArray) -> FloatArray:
        """Return logits ``[batch, labels]`` for ids ``[batch, time]``, 0-padded, and lengths ``[batch]``, each ≥ 1.

        Raises:
            SortgateError: called in a forked child; threads of a session do not survive a fork.
        """
        if os.getpid() != self._pid:
            raise SortgateError("this classifier was loaded before a fork: load it in the child process instead")
        logits: Any = self._session.run(None, {"ids": ids, "lengths": lengths})[0]
        return logits  # type: ignore[no-any-return]
