"""``sortgate bundle``: what a bundle is, whether it is whole and works on this machine, and who has signed it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from sortgate.bundle import ANYONE, Bundle, Manifest, Trust, check_onnx, sign_bundle, signers
from sortgate.bundle.keys import create_key
from sortgate.cli.output import json_option, print_json, print_table


@click.group()
def bundle() -> None:
    """Look into a bundle, verify it, or sign it.

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
    """Show what a bundle says of itself. Files and signatures are listed, not checked: see verify."""
    found = Bundle.open(path, verify=False, trust=ANYONE)
    keys = signers(found.path)
    if as_json:
        print_json(
            {
                "path": str(found.path),
                "fingerprint": found.fingerprint,
                "signatures": keys,
                "manifest": found.manifest,
            }
        )
        return
    rows = [("path", str(found.path)), ("fingerprint", found.fingerprint)]
    rows += [("signature", f"by key {key}, not checked") for key in keys]
    rows += _rows(found.manifest)
    print_table(("what", "value"), rows, title=found.model_name)


@bundle.command(
    epilog="""\b
Examples:
  sortgate bundle verify models/tickets
  sortgate bundle verify models/tickets/20260101T120000Z --json
  sortgate bundle verify models/tickets --key release.key.pub
  sortgate bundle verify models/tickets --plugins-dir plugins --plugins-strict"""
)
@click.argument("path", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    metavar="PUBLIC",
    type=click.Path(path_type=Path),
    multiple=True,
    help="File of a public key, or folder of *.pub: one of them must have signed the bundle; may repeat.  "
    "[env: SORTGATE_TRUSTED_KEYS]",
)
@click.option("--plugins-dir", type=click.Path(path_type=Path), help="Folder of one-file plugins.")
@click.option(
    "--plugins-strict",
    is_flag=True,
    default=None,
    help="Refuse plugins that have another source than the bundle was made with.  [env: SORTGATE_PLUGINS_STRICT]",
)
@json_option
def verify(
    path: Path, keys: tuple[Path, ...], plugins_dir: Path | None, plugins_strict: bool | None, as_json: bool
) -> None:
    """Check a bundle as a worker would: signature, digests, the ONNX file, plugins, and the golden texts.

    The exit status is 0 when the bundle can be served on this machine. Signatures are looked at when keys are given.
    """
    trust = Trust.of(*keys, asked_by="--key") if keys else Trust.from_settings()
    found = Bundle.open(path, trust=trust)
    facts = check_onnx(found.read(found.manifest.model.file))
    from sortgate.inference import Classifier
    from sortgate.inference.golden import replay_golden

    classifier = Classifier.load(
        found.path, verify=False, golden=False, trust=trust, plugins_dir=plugins_dir, plugins_strict=plugins_strict
    )
    texts = replay_golden(classifier, found.read(found.manifest.golden), where=str(found.path / found.manifest.golden))
    report = {
        "model": found.model_name,
        "path": str(found.path),
        "fingerprint": found.fingerprint,
        "signed_by": found.signed_by,
        "files": len(found.manifest.files),
        "operators": sorted(facts.operators),
        "golden_texts": texts,
        "ok": True,
    }
    if as_json:
        print_json(report)
        return
    signed = f"key {found.signed_by} has signed it, " if found.signed_by else ""
    click.echo(
        f"{found.model_name} is good: {signed}{report['files']} files match their digests, "
        f"the model holds nothing unsafe, {texts} golden texts give the same answers here"
    )


@bundle.command(
    epilog="""\b
Examples:
  sortgate bundle keygen release.key"""
)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@json_option
def keygen(path: Path, as_json: bool) -> None:
    """Make a key for signing bundles: the private one in FILE, readable by you alone, the public one in FILE.pub.

    Existing files are never overwritten. Whoever has the private key can sign; give the public one to the workers.
    """
    public, ident = create_key(path)
    if as_json:
        print_json({"private": str(path), "public": str(public), "key": ident})
        return
    click.echo(f"key {ident}: sign with {path}, and keep it secret; let workers trust {public}")


@bundle.command(
    epilog="""\b
Examples:
  sortgate bundle sign models/tickets --key release.key
  sortgate bundle sign models/tickets/20260101T120000Z --key release.key --json"""
)
@click.argument("path", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option("--key", metavar="FILE", type=click.Path(path_type=Path), required=True, help="Your private key.")
@json_option
def sign(path: Path, key: Path, as_json: bool) -> None:
    """Sign a bundle, once its files match their digests; signatures by other keys stay.

    The signature is a file of its own in the bundle's folder, and the fingerprint stays as it is.
    """
    found = Bundle.open(path, trust=ANYONE)
    written, ident = sign_bundle(found, key)
    if as_json:
        print_json(
            {"model": found.model_name, "fingerprint": found.fingerprint, "key": ident, "signature": str(written)}
        )
        return
    click.echo(f"{found.model_name}, fingerprint {found.fingerprint}, is signed by key {ident}: {written}")


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
