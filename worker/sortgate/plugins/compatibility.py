"""Which versions a plugin calls compatible: PEP 440 specifiers, read by the library that pip reads them with."""

from __future__ import annotations


def check_specifier(compatible: object) -> str | None:
    """Return what is wrong with a specifier such as ``>=1.2,<2``; None for a good one, and for none."""
    if compatible is None:
        return None
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if not isinstance(compatible, str) or not compatible.strip():
        return f"{compatible!r}: write a version specifier such as '>=1.2'"
    try:
        SpecifierSet(compatible)
    except InvalidSpecifier:
        return f"{compatible!r}, which is no version specifier; write one such as '>=1.2'"
    return None


def accepts(compatible: str | None, version: str) -> bool:
    """Return whether bundles made with ``version`` are among those that the specifier names."""
    if compatible is None:
        return False
    from packaging.specifiers import SpecifierSet

    # pre-releases too: who made a bundle with one was allowed to
    return SpecifierSet(compatible).contains(version, prereleases=True)
