"""Finding and loading plugins: installed distributions, files, the allow-list, and everything that can go wrong."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from sortgate.errors import (
    ConfigurationError,
    DuplicateComponentError,
    PluginLoadError,
    PluginNotAllowedError,
    PluginVersionError,
    UnknownComponentError,
)
from sortgate.plugins import ComponentRecord, ComponentSpec, create_manager, create_registry, create_registry_for
from sortgate.plugins.digest import source_digest

PLUGIN = """
from sortgate import hookimpl

@hookimpl
def sortgate_register_normalizers(register):
    register("{name}", lambda: str.upper)
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one plugin module on the path, as pip would."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)
    source_digest.cache_clear()

    def put(distribution: str, code: str, *, version: str = "1.0") -> None:
        module = distribution.replace("-", "_").lower()
        (site / f"{module}.py").write_text(code)
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[sortgate]\n{module} = {module}\n")

    yield put
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "plugins"
    path.mkdir()
    return path


def names(**arguments: object) -> set[str]:
    components = create_registry(**arguments).components()  # type: ignore[arg-type]
    return {component.name for component in components if component.distribution != "sortgate"}


def test_each_manager_is_its_own() -> None:
    one, two = create_manager(), create_manager()
    one.register(object(), name="mine")
    assert two.get_plugin("mine") is None


def test_installed_distribution_is_found_with_its_version(install: Install) -> None:
    install("Zz_Upper", PLUGIN.format(name="zz.upper.v1"), version="1.2")
    (found,) = [c for c in create_registry(only={"zz-upper"}).components() if c.name == "zz.upper.v1"]
    assert (found.distribution, found.version, found.kind) == ("zz-upper", "1.2", "normalizer")


def test_only_the_named_distributions_are_imported(install: Install) -> None:
    install("zz-bomb", "raise SystemExit('imported')")
    install("zz-upper", PLUGIN.format(name="zz.upper.v1"))
    assert names(only={"zz-upper"}) == {"zz.upper.v1"}
    assert names(only=()) == set()
    assert "zz_bomb" not in sys.modules


def test_allow_list_keeps_others_from_being_imported(install: Install, folder: Path) -> None:
    install("zz-bomb", "raise RuntimeError('imported')")
    (folder / "bomb.py").write_text("raise RuntimeError('imported')")
    (folder / "good.py").write_text(PLUGIN.format(name="file.good.v1"))
    assert names(plugins_dir=folder, allow={"good.py"}) == {"file.good.v1"}
    assert names(plugins_dir=folder, allow=()) == set()


def test_import_error_names_the_plugin(install: Install) -> None:
    install("zz-broken", "import no_such_library")
    with pytest.raises(
        PluginLoadError, match=r"zz-broken 1\.0 cannot be imported: ModuleNotFoundError.*no_such_library"
    ):
        create_registry(only={"zz-broken"})


def test_failing_hook_names_plugin_and_hook(install: Install) -> None:
    code = "from sortgate import hookimpl\n@hookimpl\ndef sortgate_register_tokenizers(register):\n    1 / 0\n"
    install("zz-failing", code)
    with pytest.raises(PluginLoadError, match=r"zz-failing 1\.0 failed in sortgate_register_tokenizers: ZeroDivision"):
        create_registry(only={"zz-failing"})


def test_mistyped_hook_is_an_error_with_a_guess(folder: Path) -> None:
    code = "from sortgate import hookimpl\n@hookimpl\ndef sortgate_register_normaliser(register): ...\n"
    (folder / "typo.py").write_text(code)
    with pytest.raises(PluginLoadError, match=r"typo\.py.*did you mean 'sortgate_register_normalizers'"):
        create_registry(plugins_dir=folder, only={"typo.py"})


def test_mistyped_argument_is_an_error(folder: Path) -> None:
    code = "from sortgate import hookimpl\n@hookimpl\ndef sortgate_register_normalizers(registry): ...\n"
    (folder / "typo.py").write_text(code)
    with pytest.raises(PluginLoadError, match=r"typo\.py.*registry") as caught:
        create_registry(plugins_dir=folder, only={"typo.py"})
    assert "\n" not in str(caught.value)


def test_plugin_without_a_hook_is_an_error(folder: Path) -> None:
    (folder / "unmarked.py").write_text("def sortgate_register_normalizers(register): ...\n")
    with pytest.raises(PluginLoadError, match=r"unmarked\.py implements no hook.*@hookimpl"):
        create_registry(plugins_dir=folder, only={"unmarked.py"})


def test_duplicate_name_names_both_distributions(install: Install) -> None:
    install("zz-one", PLUGIN.format(name="zz.same.v1"))
    install("zz-two", PLUGIN.format(name="zz.same.v1"), version="2.0")
    with pytest.raises(DuplicateComponentError, match=r"zz-one 1\.0 and by zz-two 2\.0"):
        create_registry(only={"zz-one", "zz-two"})


@pytest.mark.parametrize("name", ["upper", "zz.upper", "Zz.Upper.v1", "zz upper.v1", "sortgate.upper.v1"])
def test_malformed_and_reserved_names_are_refused(folder: Path, name: str) -> None:
    (folder / "named.py").write_text(PLUGIN.format(name=name))
    with pytest.raises(PluginLoadError, match=r"named\.py"):
        create_registry(plugins_dir=folder, only={"named.py"})


def test_missing_folder_is_said() -> None:
    with pytest.raises(ConfigurationError, match="'no-such-folder' cannot be read"):
        create_registry(plugins_dir=Path("no-such-folder"))


def test_hidden_and_private_files_are_no_plugins(folder: Path) -> None:
    for name in ("_private.py", ".hidden.py", "readme.txt"):
        (folder / name).write_text("raise RuntimeError")
    assert names(plugins_dir=folder, only=()) == set()


def test_dataclass_in_a_plugin_file(folder: Path) -> None:
    code = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    a: int = 0\n"
    )
    (folder / "with-dash.py").write_text(code + PLUGIN.format(name="file.data.v1"))
    assert names(plugins_dir=folder, only={"with-dash.py"}) == {"file.data.v1"}


def test_plugin_file_is_pinned_and_another_is_not_run(folder: Path) -> None:
    path = folder / "upper.py"
    path.write_text(PLUGIN.format(name="file.upper.v1"))
    record = create_registry(plugins_dir=folder, only={"upper.py"}).record("normalizer", ComponentSpec("file.upper.v1"))
    assert record.distribution == "file:upper.py"
    assert record.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    restored = create_registry_for([record], plugins_dir=folder).restore("normalizer", record)
    assert restored("a") == "A"

    path.write_text("raise RuntimeError('run')")
    with pytest.raises(PluginVersionError, match=rf"upper\.py is not the one.*{record.digest}"):
        create_registry_for([record], plugins_dir=folder)
    path.write_text(PLUGIN.format(name="file.upper.v1") + "# changed\n")
    with pytest.raises(PluginVersionError, match=r"not the file the bundle was made with"):
        create_registry(plugins_dir=folder, only={"upper.py"}).restore("normalizer", record)
    path.unlink()
    with pytest.raises(UnknownComponentError, match=r"put that upper\.py into the plugins folder"):
        create_registry_for([record], plugins_dir=folder).restore("normalizer", record)


def test_distribution_is_pinned_by_version(install: Install) -> None:
    install("zz-upper", PLUGIN.format(name="zz.upper.v1"), version="1.2")
    registry = create_registry(only={"zz-upper"})
    record = registry.record("normalizer", ComponentSpec("zz.upper.v1"))
    assert registry.restore("normalizer", record)("a") == "A"
    other = msgspec.structs.replace(record, version="1.1")
    with pytest.raises(
        PluginVersionError, match=r"made with zz-upper 1\.1, installed is 1\.2; pip install zz-upper==1\.1"
    ):
        registry.restore("normalizer", other)
    elsewhere = msgspec.structs.replace(record, distribution="zz-other")
    with pytest.raises(UnknownComponentError, match=r"registered here by zz-upper 1\.2.*pip install zz-other==1\.2"):
        registry.restore("normalizer", elsewhere)
    with pytest.raises(PluginNotAllowedError, match="SORTGATE_PLUGINS does not list"):
        create_registry(allow={"zz-others"}).restore("normalizer", record)


def test_another_source_of_the_same_version_is_warned_of_or_refused(
    install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install("zz-upper", PLUGIN.format(name="zz.upper.v1"), version="1.2")
    record = create_registry(only={"zz-upper"}).record("normalizer", ComponentSpec("zz.upper.v1"))
    assert record.digest is not None
    assert create_registry(only={"zz-upper"}, strict=True).restore("normalizer", record)("a") == "A"
    assert not caplog.records

    (tmp_path / "site" / "zz_upper.py").write_text(PLUGIN.format(name="zz.upper.v1") + "# mended in place\n")
    source_digest.cache_clear()
    assert create_registry(only={"zz-upper"}).restore("normalizer", record)("a") == "A"
    assert "zz.upper.v1: the source of zz-upper 1.2 is not the one the bundle was made with" in caplog.text
    with pytest.raises(
        PluginVersionError,
        match=rf"zz-upper 1\.2 here \(SHA-256 [0-9a-f]{{64}}\).*1\.2, SHA-256 {record.digest}\).*"
        r"pip install --force-reinstall --no-deps zz-upper==1\.2",
    ):
        create_registry(only={"zz-upper"}, strict=True).restore("normalizer", record)
    with pytest.raises(PluginVersionError, match="not recorded"):  # a bundle of format 3
        create_registry(only={"zz-upper"}, strict=True).restore(
            "normalizer", msgspec.structs.replace(record, digest=None)
        )


def test_digest_is_of_every_file_of_the_package_and_of_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "zz_package"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "data" / "words.txt").write_text("a")

    def digest() -> str | None:
        source_digest.cache_clear()
        return source_digest("zz_package")

    first = digest()
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"x")
    (package / ".DS_Store").write_bytes(b"x")
    assert digest() == first is not None
    (package / "data" / "words.txt").write_text("b")
    changed = digest()
    (package / "data" / "words.txt").rename(package / "data" / "letters.txt")
    assert len({first, changed, digest()}) == 3
    assert source_digest("zz_no_such_package") is None


def test_a_plugin_says_which_versions_it_answers_alike(install: Install) -> None:
    register = 'register("zz.upper.v1", lambda: str.upper, compatible="{}")'
    code = PLUGIN.replace('register("{name}", lambda: str.upper)', register)
    install("zz-upper", code.format(">=1.1,<2"), version="1.4")
    registry = create_registry(only={"zz-upper"})
    record = registry.record("normalizer", ComponentSpec("zz.upper.v1"))

    def made_with(version: str) -> ComponentRecord:
        return msgspec.structs.replace(record, version=version, digest="0" * 64)

    for version in ("1.1", "1.3.2", "1.2rc1"):
        assert registry.restore("normalizer", made_with(version))("a") == "A"
    for version in ("1.0", "2.0"):
        with pytest.raises(
            PluginVersionError, match=rf"{version}, installed is 1\.4 \(it takes bundles of >=1\.1,<2\)"
        ):
            registry.restore("normalizer", made_with(version))
    with pytest.raises(PluginVersionError, match="the same is demanded"):
        create_registry(only={"zz-upper"}, strict=True).restore("normalizer", made_with("1.3.2"))


@pytest.mark.parametrize("compatible", ["'any'", "''", "1.2"])
def test_a_compatible_range_that_is_none_is_refused(folder: Path, compatible: str) -> None:
    code = PLUGIN.replace("lambda: str.upper)", f"lambda: str.upper, compatible={compatible})")
    (folder / "ranged.py").write_text(code.format(name="file.ranged.v1"))
    with pytest.raises(PluginLoadError, match=r"ranged\.py registers 'file\.ranged\.v1' as compatible.*write"):
        create_registry(plugins_dir=folder, only={"ranged.py"})


def test_a_broken_plugin_stops_nobody_who_does_without_it(install: Install, folder: Path) -> None:
    install("zz-broken", "import no_such_library")
    install("zz-upper", PLUGIN.format(name="zz.upper.v1"))
    half = PLUGIN.format(name="file.half.v1") + (
        "\n@hookimpl\ndef sortgate_register_tokenizers(register):\n    1 / 0\n"
    )
    (folder / "half.py").write_text(half)
    registry = create_registry(plugins_dir=folder, allow={"zz-broken", "zz-upper", "half.py"})
    assert {component.name for component in registry.components() if component.distribution != "sortgate"} == {
        "zz.upper.v1"
    }
    assert [broken.source.distribution for broken in registry.broken] == ["zz-broken", "file:half.py"]
    record = registry.record("normalizer", ComponentSpec("zz.upper.v1"))
    worker = create_registry_for([record], plugins_dir=folder, allow={"zz-broken", "zz-upper"})
    assert worker.restore("normalizer", record)("a") == "A"

    with pytest.raises(UnknownComponentError, match=r"half\.py failed in sortgate_register_tokenizers: ZeroDivision"):
        registry.create("normalizer", ComponentSpec("file.half.v1"))
    of_broken = msgspec.structs.replace(record, name="zz.broken.v1", distribution="zz-broken")
    with pytest.raises(PluginLoadError, match=r"zz-broken 1\.0 cannot be imported: ModuleNotFoundError"):
        create_registry_for([record, of_broken])
    with pytest.raises(PluginLoadError, match=r"zz-broken 1\.0 cannot be imported"):
        registry.restore("normalizer", of_broken)


def test_block_list_wins(install: Install, folder: Path) -> None:
    install("zz-upper", PLUGIN.format(name="zz.upper.v1"))
    record = create_registry(only={"zz-upper"}).record("normalizer", ComponentSpec("zz.upper.v1"))
    install("zz-bomb", "raise SystemExit('imported')")
    (folder / "bomb.py").write_text("raise RuntimeError('imported')")
    blocked = {"Zz_Bomb", "bomb.py", "zz-upper"}
    assert names(plugins_dir=folder, block=blocked, only={"zz-bomb", "bomb.py", "zz-upper"}) == set()
    with pytest.raises(PluginNotAllowedError, match="which SORTGATE_PLUGINS_BLOCKED names"):
        create_registry_for([record], allow={"zz-upper"}, block=blocked).restore("normalizer", record)
    builtin = create_registry(block={"sortgate"}, only=())
    assert builtin.create("normalizer", ComponentSpec("sortgate.lowercase.v1"))("A") == "a"


def test_built_ins_of_another_sortgate_version_are_taken() -> None:
    registry = create_registry(only=(), allow=())
    record = registry.record("normalizer", ComponentSpec("sortgate.lowercase.v1"))
    assert registry.restore("normalizer", type(record)(record.name, {}, "sortgate", "0.0.1"))("A") == "a"


def test_strict_takes_no_source_that_is_not_known(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("zz-upper", PLUGIN.format(name="zz.upper.v1"))
    monkeypatch.setattr("sortgate.plugins.found.source_digest", lambda _: None)
    registry = create_registry(only={"zz-upper"}, strict=True)
    record = registry.record("normalizer", ComponentSpec("zz.upper.v1"))
    assert record.digest is None
    with pytest.raises(PluginVersionError, match="the same is demanded"):
        registry.restore("normalizer", record)


def test_what_serves_only_people_at_a_terminal_is_not_asked_of_a_worker_s_plugins(install: Install) -> None:
    reader = "\n@hookimpl\ndef sortgate_register_readers(register):\n    import no_such_library\n"
    install("zz-upper", PLUGIN.format(name="zz.upper.v1") + reader)
    with pytest.raises(PluginLoadError, match="failed in sortgate_register_readers"):
        create_registry(only={"zz-upper"})
    record = ComponentRecord("zz.upper.v1", {}, "zz-upper", "1.0")
    assert create_registry_for([record]).restore("normalizer", record)("a") == "A"


def test_a_plugin_file_that_cannot_be_read_stops_nobody_who_does_without_it(folder: Path) -> None:
    (folder / "bad.py").mkdir()
    (folder / "good.py").write_text(PLUGIN.format(name="file.good.v1"))
    registry = create_registry(plugins_dir=folder)
    assert "file.good.v1" in {component.name for component in registry.components()}
    assert ["bad.py cannot be read" in str(broken.error) for broken in registry.broken] == [True]
    with pytest.raises(PluginLoadError, match=r"bad\.py cannot be read"):
        create_registry(plugins_dir=folder, only={"bad.py"})


def test_a_namespace_that_is_shared_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    source_digest.cache_clear()
    for name in ("one", "two"):
        (tmp_path / "zz_shared" / name).mkdir(parents=True)
        (tmp_path / "zz_shared" / name / "__init__.py").write_text(f"# {name}")
        if name == "one":
            before = source_digest("zz_shared.one")
            source_digest.cache_clear()
    assert source_digest("zz_shared.one") == before is not None
    assert source_digest("zz_shared.two") != before


def test_only_plugins_that_are_wanted_are_read(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("zz-one", PLUGIN.format(name="zz.one.v1"))
    install("zz-two", PLUGIN.format(name="zz.two.v1"))
    read: list[str] = []

    def digest(module: str) -> None:
        read.append(module)

    monkeypatch.setattr("sortgate.plugins.found.source_digest", digest)
    create_registry(only={"zz-one"})
    assert read == ["zz_one"]
