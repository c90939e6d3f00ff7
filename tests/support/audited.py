"""Makes Python processes write down what they unpickle and import, by an audit hook that nothing in them can remove.

Python's event ``import`` is not raised by ``importlib.import_module``, with which plugins are loaded; ``exec`` is, for
the code of every module.
"""

from __future__ import annotations

import os
from pathlib import Path

_HOOK = """
import os, sys
_file = os.open({path!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def _hook(event, args):
    if event == "pickle.find_class":
        os.write(_file, f"unpickled {{args[0]}}.{{args[1]}}\\n".encode())
    elif event == "exec" and getattr(args[0], "co_name", "") == "<module>":
        os.write(_file, f"imported {{args[0].co_filename}}\\n".encode())

sys.addaudithook(_hook)
"""


class Audit:
    """Environment variables that install the hook, and what it has written."""

    def __init__(self, folder: Path, *path: Path) -> None:
        """Put the hook into ``folder``; folders in ``path`` are on the processes' ``sys.path``, too."""
        self._file = folder / "events"
        self._file.touch()
        (folder / "sitecustomize.py").write_text(_HOOK.format(path=str(self._file)))
        inherited = os.environ.get("PYTHONPATH")
        self.env = {"PYTHONPATH": os.pathsep.join([*map(str, (folder, *path)), *([inherited] if inherited else [])])}

    def _events(self, kind: str) -> set[str]:
        lines = self._file.read_text().splitlines()
        return {line.removeprefix(kind) for line in lines if line.startswith(kind)}

    @property
    def unpickled(self) -> set[str]:
        """Classes and functions that an unpickler has looked up, by any process so far."""
        return self._events("unpickled ")

    def imported(self, module: str) -> bool:
        """Whether any process so far has run the code of ``module``, named with dots."""
        path = Path(*module.split("."))
        ends = (f"/{path}.py", f"/{path}/__init__.py")
        return any(name.endswith(ends) for name in self._events("imported "))
