"""Exit status 0 when this container's worker is ready and gets on; else what its probes say is printed."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request


def complaint(port: int, path: str) -> str:
    """Return what the worker answers when it is not well, ``""`` when it is."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=3) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return f"{path}: {error.read().decode().strip()}"
    except OSError as error:
        return f"{path}: no answer on port {port}: {getattr(error, 'reason', error)}"
    return ""


def main() -> int:
    """Return the exit status."""
    port = int(os.environ.get("SORTGATE_METRICS_PORT") or 0)
    if not port:
        print("SORTGATE_METRICS_PORT is not set: there is nothing to ask")
        return 1
    complaints = [found for path in ("/readyz", "/healthz") if (found := complaint(port, path))]
    print("\n".join(complaints), end="")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
