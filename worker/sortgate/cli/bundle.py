"""``sortgate bundle``: what a bundle is, and whether it is whole and works on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from sortgate.bundle import Bundle, Manifest, check_onnx
from sortgate.cli.output import json_option, print_json, print_table


@click.group()
def bundle() -> None:
    """Look into a bundle, or verify it.

    BUNDLE is the folder of one version, or the folder of its versions: then the newest is meant.
    """


@bundle.command(
    epilog="""\b
Examples:
  sortgate bundle inspect models/tickets
  sortgate bundle inspect models/tickets --json | jq .manifest.metrics"""
)
@click.argument("path", metavar="BUNDLE", type=click.Path(path_type=Path))
@json_option
def inspect(path: Path, as_json: bool) -> None:
    """Show what a bundle says of itself. Files are listed, not compared: see verify."""
    found = Bundle.open(path, verify=False)
    if as_json:
        print_json({"path": str(found.path), "fingerprint": found.fingerprint, "manifest": found.manifest})
        return
    rows = [("path", str(found.path)), ("fingerprint", found.fingerprint), *_rows(found.manifest)]
    print_table(("what", "value"), rows, title=found.model_name)


@bundle.command(
    epilog="""\b
Examples:
  sortgate bundle verify models/tickets
  sortgate bundle verify models/tickets/20260101T120000Z --json"""
)
@click.argument("path", metavar="BUNDLE", type=click.Path(path_type=Path))
@json_option
def verify(path: Path, as_json: bool) -> None:
    """Check a bundle as a worker would: digests, the ONNX file, plugins, and the golden texts.

    The exit status is 0 when the bundle can be served on this machine.
    """
    found = Bundle.open(path)
    facts = check_onnx(found.read(found.manifest.model.file))
    from sortgate.inference import Classifier
    from sortgate.inference.golden import replay_golden

    classifier = Classifier.load(found.path, verify=False, golden=False)
    texts = replay_golden(classifier, found.read(found.manifest.golden), where=str(found.path / found.manifest.golden))
    report = {
        "model": found.model_name,
        "path": str(found.path),
        "fingerprint": found.fingerprint,
        "files": len(found.manifest.files),
        "operators": sorted(facts.operators),
        "golden_texts": texts,
        "ok": True,
    }
    if as_json:
        print_json(report)
        return
    click.echo(
        f"{found.model_name} is good: {report['files']} files match their digests, "
        f"the model holds nothing unsafe, {texts} golden texts give the same answers here"
    )


def _rows(manifest: Manifest) -> list[tuple[str, Any]]:
    text = manifest.text
    model = manifest.model
    rows: list[tuple[str, Any]] = [
        ("task", manifest.task.replace("_", " ")),
        ("labels", f"{len(manifest.labels)}: {', '.join(manifest.labels[:12])}{' …' * (len(manifest.labels) > 12)}"),
        ("normalizers", ", ".join(map(_component, text.normalizers)) or None),
        ("tokenizer", _component(text.tokenizer)),
        ("filters", ", ".join(map(_component, text.filters)) or None),
        ("post-processors", ", ".join(map(_component, text.postprocessors)) or None),
        ("limits", ", ".join(f"{key} {value}" for key, value in msgspec.structs.asdict(manifest.limits).items())),
        ("model", f"{model.cell}, {model.precision}, ONNX operator set {model.opset}"),
        ("temperature", f"{manifest.temperature:g}"),
    ]
    if model.flip_rate is not None:
        rows.append(("flip rate", f"{model.flip_rate:.3%} of labels move with the batch"))
    rows += [
        (f"metric {key}", value) for key, value in manifest.metrics.items() if isinstance(value, (int, float, str))
    ]
    rows += [(f"made with {name}", version) for name, version in manifest.provided_by.items()]
    rows += [(f"file {name}", digest) for name, digest in manifest.files.items()]
    return rows


def _component(record: Any) -> str:
    params = ", ".join(f"{key}={value!r}" for key, value in record.params.items())
    source = "" if record.distribution == "sortgate" else f" from {record.distribution} {record.version}"
    return f"{record.name}{f'({params})' if params else ''}{source}"
