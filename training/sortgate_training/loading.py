"""Reads a training configuration: the preset, a TOML file, ``key=value`` and options, of which the last one wins."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from sortgate.errors import ConfigurationError
from sortgate_training.config import TrainingConfig
from sortgate_training.presets import PRESETS


def load_config(
    file: Path | None = None, assignments: Iterable[str] = (), overrides: Mapping[str, Any] | None = None
) -> TrainingConfig:
    """Read the configuration: the preset, the file, ``key=value`` assignments, then overrides that are not None.

    Args:
        file: TOML with the tables and keys of :class:`TrainingConfig`.
        assignments: ``model.hidden=256``; the value is TOML, a plain word needs no quotes.
        overrides: dotted key to value.

    Raises:
        ConfigurationError: unreadable file, unknown key (says the near one), or impossible value.
    """
    tables = _read_toml(file) if file is not None else {}
    for key in _leaves(tables):
        _check_key(key, str(file))
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigurationError(f"--set {assignment}: write key=value")
        _check_key(key.strip(), "--set")
        _put(tables, key.strip(), _parse_value(assignment, value.strip()))
    for key, given in (overrides or {}).items():
        _check_key(key, "configuration")
        if given is not None:
            _put(tables, key, given)
    _apply_preset(tables)
    try:
        return msgspec.convert(tables, TrainingConfig)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        key = where.rstrip("`")
        said = f"{what[:1].lower()}{what[1:]}"
        if "enum value" in what and (choices := ", ".join(_choices(key))):
            said = f"{said}; there are {choices}"
        raise ConfigurationError(f"configuration{f' key {key}' if key else ''}: {said}") from None


def _apply_preset(tables: dict[str, Any]) -> None:
    """Put in the preset's values where nothing else is set; a name that does not exist is left for the check."""
    name = tables.get("preset")
    given = set(_leaves(tables))
    # a table of limits that is given in part has the struct's own defaults, of which training has others
    values = {f"limits.{key}": value for key, value in msgspec.structs.asdict(TrainingConfig().limits).items()}
    values |= PRESETS.get(name, {}) if isinstance(name, str) else {}
    for key, value in values.items():
        if key not in given:
            _put(tables, key, value)


def known_keys() -> list[str]:
    """Return every dotted key there is, in the order of the definition."""
    return list(_fields(TrainingConfig))


def _fields(struct: Any, prefix: str = "") -> Iterator[str]:
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _fields(field.type, f"{prefix}{field.encode_name}.")
        else:
            yield prefix + field.encode_name


def _choices(key: str) -> Iterator[str]:
    """Yield the values that a key may have, as TOML has them, as far as they can be listed."""
    kind: Any = TrainingConfig
    for name in key.split("."):
        found = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        if name not in found:
            return
        kind = found[name]
    for part in get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,):
        if get_origin(part) is Literal:
            yield from map(str, get_args(part))
        elif part is bool:
            yield from ("true", "false")
        elif part in {int, float} or get_origin(part) is Annotated:
            yield "a number"


def _check_key(key: str, where: str) -> None:
    known = known_keys()
    # text.tokenizer.params.size and the like: below a key, its own value decides what is possible
    if any(key == name or key.startswith(f"{name}.") for name in known):
        return
    if any(name.startswith(f"{key}.") for name in known):
        raise ConfigurationError(f"{where}: {key} is a table: set one of its keys, such as {key}.{_first(known, key)}")
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    near = near or [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]][:1]
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    raise ConfigurationError(f"{where}: no key {key!r} in the training configuration; {hint}")


def _first(known: list[str], table: str) -> str:
    return next(name for name in known if name.startswith(f"{table}.")).removeprefix(f"{table}.")


def _leaves(tables: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    known = known_keys()
    for name, value in tables.items():
        key = prefix + name
        if isinstance(value, dict) and any(other.startswith(f"{key}.") for other in known):
            yield from _leaves(value, f"{key}.")
        else:
            yield key


def _put(tables: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        child = tables.get(parent)
        if not isinstance(child, dict):
            # text.tokenizer.params.x=1 after text.tokenizer="name": keep the name
            child = {"name": child} if isinstance(child, str) else {}
            tables[parent] = child
        tables = child
    tables[last] = value


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: not TOML: {' '.join(str(error).split())}") from None


def _parse_value(assignment: str, value: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        if re.fullmatch(r"[A-Za-z][\w.-]*", value):
            return value
        raise ConfigurationError(f"--set {assignment}: the value is not TOML; put strings in quotes") from None
    if parsed.keys() != {"value"}:
        raise ConfigurationError(f"--set {assignment}: one value only")
    return parsed["value"]
