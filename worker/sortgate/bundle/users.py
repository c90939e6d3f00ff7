"""Which bundles of a folder use a component, as their manifests say; nothing is verified or loaded."""

from __future__ import annotations

from pathlib import Path

from sortgate.bundle.manifest import MANIFEST_FILE, decode_manifest
from sortgate.bundle.versions import VERSION_NAME
from sortgate.errors import BundleError
from sortgate.plugins.source import canonical


def bundles_by_component(models: Path) -> dict[tuple[str, str], list[str]]:
    """Return distribution and name of each component to the ``name/version`` of the bundles that use it, in order.

    A folder that is not there has none, and what is no bundle is passed over.
    """
    users: dict[tuple[str, str], list[str]] = {}
    if not models.is_dir():
        return users
    for path in sorted(models.glob(f"*/*/{MANIFEST_FILE}")):
        if not VERSION_NAME.fullmatch(path.parent.name):
            continue
        try:
            manifest = decode_manifest(path.read_bytes(), str(path))
        except (BundleError, OSError):
            continue
        for record in manifest.text:
            listed = users.setdefault((canonical(record.distribution), record.name), [])
            if (model := f"{path.parent.parent.name}/{path.parent.name}") not in listed:
                listed.append(model)
    return users
