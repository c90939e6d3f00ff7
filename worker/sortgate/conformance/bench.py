"""What a text costs in components: each on its own, or those of a bundle, one after the other."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sortgate.conformance.clock import measure
from sortgate.conformance.predictions import prediction
from sortgate.conformance.subject import Settings, Subject
from sortgate.conformance.target import Target
from sortgate.errors import FOREIGN, ConfigurationError, PluginError, UnknownComponentError
from sortgate.plugins import KINDS, Kind, create_registry, create_registry_for


class Bench(msgspec.Struct, frozen=True):
    """Microseconds a text of one component, or why it was left out.

    Attributes:
        served_us: in the form that a worker calls.
    """

    kind: Kind
    name: str
    served_us: float | None = None
    single_us: float | None = None
    batch_us: float | None = None
    left_out: str | None = None


def bench_components(names: Sequence[str], texts: Sequence[str], options: Mapping[str, Any]) -> list[Bench]:
    """Measure the named components, or all; a name may have parameters behind it: ``name={"k": 3}``.

    Raises:
        UnknownComponentError: nobody registered a name; suggests the nearest one.
        ConfigurationError: parameters are no JSON object.
    """
    registry = create_registry(**options)
    params = dict(map(_split, names))
    chosen = [registry.describe(name) for name in params] or registry.components()
    found = []
    for each in sorted(chosen, key=lambda each: (KINDS.index(each.kind), each.name)):
        subject = Subject(Target(each.distribution), each.kind, each.name, Settings(params), texts)
        subject.registry = registry
        try:
            component = subject.component
        except PluginError as error:
            if names:
                raise
            found.append(Bench(each.kind, each.name, left_out=str(error).partition(";")[0]))
            continue
        except FOREIGN as error:  # only its type: its message may hold a text
            found.append(Bench(each.kind, each.name, left_out=f"cannot learn from the texts: {type(error).__name__}"))
            continue
        rows = [subject.arguments(component, item) for item in subject.items(texts)]
        found.append(_bench(each.kind, each.name, component, rows))
    return found


def bench_bundle(path: Path, names: Sequence[str], texts: Sequence[str], options: Mapping[str, Any]) -> list[Bench]:
    """Measure a bundle's components, each with its parameters and state, on what those before it make of the texts.

    Post-processors get made-up predictions with the bundle's labels.

    Raises:
        BundleError: there is no bundle, or it is not whole.
        PluginError: a component is missing or of another version.
        UnknownComponentError: the bundle has no component of a name; suggests the nearest one.
    """
    from sortgate.bundle import Bundle

    bundle = Bundle.open(path, verify=False)
    text = bundle.manifest.text
    registry = create_registry_for(text, **options)
    known = [record.name for record in text]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            raise UnknownComponentError(f"the bundle has no component {name!r}{guess}; it has: {', '.join(known)}")
    found = []
    items: list[Any] = list(texts)
    for kind, records in text.by_kind().items():
        if kind == "postprocessor":
            items = [(prediction(index, bundle.manifest.labels), each) for index, each in enumerate(texts)]
        for record in records:
            state = bundle.read(record.state) if record.state else None
            component = registry.restore(kind, record, state)
            subject = Subject(Target(record.distribution), kind, record.name, Settings({}))
            rows = [subject.arguments(component, item) for item in items]
            if not names or record.name in names:
                found.append(_bench(kind, record.name, component, rows))
            items = _made(subject, component, items)
    return found


def _made(subject: Subject, component: Any, items: Sequence[Any]) -> list[Any]:
    """Return what goes on to the next component: without the items that this one fails on."""
    made = []
    for item in items:
        try:
            value = subject.call(component, item)
        except FOREIGN:
            continue
        if subject.form.fits(value):
            made.append((value, item[1]) if subject.kind == "postprocessor" else value)
    return made


def _bench(kind: Kind, name: str, component: Any, rows: Sequence[tuple[Any, ...]]) -> Bench:
    if not rows:
        return Bench(kind, name, left_out="no text comes that far")
    timing = measure(component, rows)
    return Bench(kind, name, timing.served_us, timing.single_us, timing.batch_us)


def _split(given: str) -> tuple[str, dict[str, Any]]:
    name, equals, written = given.partition("=")
    if not equals:
        return name, {}
    try:
        return name, msgspec.json.decode(written, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError):
        raise ConfigurationError(
            f"{given[:80]!r}: write parameters as a JSON object, {name}='{{\"key\": value}}'"
        ) from None
