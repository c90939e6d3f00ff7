"""Who may import whom: each layer in a fresh interpreter, and what must then be absent from ``sys.modules``."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from distributions import PLUGINS, ROOT

SOURCES = {
    "sortgate": ROOT / "worker/sortgate",
    "sortgate_training": ROOT / "training/sortgate_training",
    **{name: folder / name for name, folder in PLUGINS.items()},
}

LEARNING = {"torch", "onnx", "sklearn", "matplotlib", "sortgate_training"}
CELERY = {"celery", "kombu", "billiard", "prometheus_client"}
TERMINAL = {"click", "rich"}
SERVING = {"numpy", "onnxruntime", "tokenizers"}
REDIS = {"redis", "hiredis"}
PIPELINE = {
    f"sortgate.{name}"
    for name in (
        "inference",
        "textconfig",
        "textpath",
        "pieces",
        "encoded",
        "vocabulary",
        "bundle",
        "components",
        "plugins",
    )
}
OUTSIDE = LEARNING | CELERY | TERMINAL | {"nltk", "spacy", "jieba", "pytest"}

#: Layer → its modules (those below them included), and what none of them may bring in when it is imported.
LAYERS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "package": (
        ("sortgate", "sortgate.__main__"),
        OUTSIDE | SERVING | REDIS | PIPELINE | {"msgspec", "pluggy", "sortgate.client"},
    ),
    "base": (
        tuple(
            f"sortgate.{name}"
            for name in ("errors", "types", "settings", "keys", "messages", "audit", "journal", "faults", "embedded")
        ),
        OUTSIDE | SERVING | REDIS | PIPELINE | {"pluggy", "sortgate.client"},
    ),
    "text path": (
        tuple(sorted(PIPELINE - {"sortgate.inference"})),
        OUTSIDE | SERVING | REDIS | {"sortgate.inference", "sortgate.client", "sortgate.streams"},
    ),
    "inference": (
        ("sortgate.inference",),
        OUTSIDE | REDIS | {"tokenizers", "sortgate.client", "sortgate.streams"},
    ),
    "explain": (
        ("sortgate.explain",),
        OUTSIDE | REDIS | {"tokenizers", "sortgate.client", "sortgate.streams"},
    ),
    "client": (
        ("sortgate.client", "sortgate.streams"),
        OUTSIDE | SERVING | PIPELINE | {"pluggy", "sortgate.worker"},
    ),
    "worker": (
        ("sortgate.worker", "sortgate.celery"),
        LEARNING | {"nltk", "pytest", "sortgate.client", "sortgate.cli"},
    ),
    "command line": (
        ("sortgate.cli",),
        LEARNING | CELERY | SERVING | {"nltk", "pytest", "sortgate.inference", "sortgate.worker"},
    ),
    "demo": (
        ("sortgate.demo",),
        LEARNING | CELERY | {"nltk", "pytest", "sortgate.worker"},
    ),
    "testing": (
        ("sortgate.testing", "sortgate.conformance"),
        LEARNING | CELERY | TERMINAL | SERVING | {"nltk"},
    ),
    "training": (
        ("sortgate_training",),
        CELERY | REDIS | {"nltk", "pytest", "sortgate.client", "sortgate.streams", "sortgate.worker", "sortgate.demo"},
    ),
    # Optuna imports a Redis client where there is one
    "tuning": (
        ("sortgate_training.tuning",),
        CELERY | {"nltk", "pytest", "sortgate.client", "sortgate.streams", "sortgate.worker", "sortgate.demo"},
    ),
    "plugin": (
        tuple(PLUGINS),
        LEARNING | CELERY | TERMINAL | REDIS
        | {"onnxruntime", "numpy", "nltk", "spacy", "jieba"}
        | {f"sortgate.{name}" for name in ("inference", "bundle", "client", "streams", "worker")},
    ),
}  # fmt: skip

#: Layers whose modules are loaded one by one when a command needs them; only the package itself is held to the rule.
LAZY = {"command line"}


def modules() -> Iterator[str]:
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *(part for part in parts if part != "__init__")))


def layer_of(module: str) -> str | None:
    found = [
        (len(prefix), layer)
        for layer, (prefixes, _) in LAYERS.items()
        for prefix in prefixes
        # the top package is itself only: everything below it belongs to some other layer
        if module == prefix or (module.startswith(f"{prefix}.") and prefix != "sortgate")
    ]
    return max(found)[1] if found else None


def imported_by(names: list[str]) -> set[str]:
    code = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_every_module_belongs_to_a_layer() -> None:
    assert [module for module in modules() if layer_of(module) is None] == []


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_leaves_alone_what_is_not_its_own(layer: str) -> None:
    prefixes, forbidden = LAYERS[layer]
    names = list(prefixes) if layer in LAZY else [module for module in modules() if layer_of(module) == layer]
    assert names
    assert forbidden & imported_by(names) == set()


def test_public_client_is_light() -> None:
    """What every service that enqueues texts pays for."""
    code = "from sortgate import Client, AsyncClient; import sys; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert loaded & (OUTSIDE | SERVING | PIPELINE) == set()


#: Package → imports that its sources must not hold anywhere, inside functions included.
NEVER = {
    "worker/sortgate": r"torch|onnx|sklearn|matplotlib|sortgate_training|pickle|dill|cloudpickle|joblib",
    "worker/sortgate/client": r"celery|kombu|numpy|onnxruntime|sortgate\.(inference|textpath|bundle|plugins)",
    "worker/sortgate/bundle": r"numpy|onnxruntime|sortgate\.(inference|client|streams|worker)",
    "training/sortgate_training": r"celery|kombu|redis|sortgate\.(client|streams|worker)|pickle",
    **{
        f"plugins/{folder.name}/{name}": r"torch|celery|redis|pickle|sortgate\.(inference|bundle|client|streams|worker)"
        for name, folder in PLUGINS.items()
    },
}


@pytest.mark.parametrize("folder", NEVER)
def test_sources_hold_no_import_that_is_never_allowed(folder: str) -> None:
    """By reading them: an import inside a function would not show in a fresh interpreter."""
    pattern = re.compile(rf"^\s*(?:import|from) (?:{NEVER[folder]})\b.*", re.MULTILINE)
    found = {str(path): pattern.findall(path.read_text()) for path in (ROOT / folder).rglob("*.py")}
    assert found
    assert {path: lines for path, lines in found.items() if lines} == {}
