"""The memory that a batch may take: judged from what its process has when it begins."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sortgate.errors import ConfigurationError
from sortgate.settings import Settings

PROCESS = """
from sortgate.worker.child import limit_memory

kept = []
for _ in range(5):  # a process that keeps more and more: no batch is to blame for those before it
    limit_memory(64 << 20)
    kept.append(bytearray(40 << 20))
try:
    bytearray(40 << 20)
except MemoryError:
    print("too much")
limit_memory(0)
"""


def test_each_batch_has_its_own_room() -> None:
    done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "too much\n", "")


@pytest.mark.parametrize("value", ["2048", str(10**20)])
def test_a_limit_that_would_fail_every_text_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="use 67108864"):
        Settings.from_env({"SORTGATE_BATCH_MEMORY_BYTES": value})
