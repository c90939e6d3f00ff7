"""The conformance kit catches each broken plugin, by the check that is meant for it and by no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from broken_plugins import BROKEN
from sortgate.conformance import check_plugin

#: Some of each kind; the others take a minute.
QUICK = ("asks_the_network", "malformed_name", "half_learned", "sorts_in_place", "batch_says_otherwise")
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in BROKEN]


@pytest.mark.parametrize("name", NAMES)
def test_broken_plugin_is_caught_by_its_check_alone(tmp_path: Path, name: str) -> None:
    broken = BROKEN[name]
    (tmp_path / "broken.py").write_text(broken.source)
    found = check_plugin(tmp_path / "broken.py", huge_s=1.5)
    print("\n".join(map(str, found)))
    assert {finding.check for finding in found} == {broken.check}
    assert broken.says in str(found[0])
    assert "\n" not in str(found[0])
