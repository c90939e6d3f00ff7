"""The ``sortgate`` command; without the command line's libraries it prints how to install them."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> int:
    """Run the command line; returns the exit status."""
    if find_spec("click") is None or find_spec("rich") is None:
        print('sortgate: the command line needs more packages: pip install "sortgate[cli]"', file=sys.stderr)  # noqa: T201
        return 1
    from sortgate.cli import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
