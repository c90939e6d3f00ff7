"""What texts that cannot be classified cost the others: good texts a second with poison among them and without.

A plugin's normalizer, put into a copy of the bundle, does what the poison says: ``raises`` raises an exception,
``kills`` ends its process, as a crash in a library would. Each round drains a queue of good texts alone, then one with
the same good texts and the share of poison, spread evenly; every good text must be answered, and every poisoned one
have its error or dead letter. Workers are stopped while their queue is filled.

Usage: python benchmarks/serving/poison.py BUNDLE TEXTS.csv[.gz] [--poison raises] [--share 0.1] [--count 50000]
       [--runs 5] [--processes 2] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import msgspec
import redis
from texts import read_texts, repeated
from workers import drain, serving, stopped

from sortgate import keys
from sortgate.bundle import Bundle, write_bundle
from sortgate.embedded import EmbeddedRedis
from sortgate.plugins import ComponentSpec, create_registry

QUEUE, NAME = "bench", "bench.poison.v1"
#: What a poison's texts are answered with.
STATUS = {"raises": "error", "kills": "dead"}
PLUGIN = '''
import os, signal
from sortgate import hookimpl

def obey(text):
    """Return the text, unless it says otherwise."""
    if "poison: raises" in text:
        raise RuntimeError("a poisoned text")
    if "poison: kills" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    return text

@hookimpl
def sortgate_register_normalizers(register):
    register("bench.poison.v1", lambda: obey)
'''


def with_plugin(source: Path, folder: Path) -> Path:
    """Write a copy of a bundle whose text path begins with the plugin's normalizer; also lets workers find it."""
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "poison.py").write_text(PLUGIN)
    os.environ["SORTGATE_PLUGINS_DIR"] = str(plugins)
    record = create_registry(plugins_dir=plugins).record("normalizer", ComponentSpec(NAME), None)
    bundle = Bundle.open(source)
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    text = msgspec.structs.replace(bundle.manifest.text, normalizers=[record, *bundle.manifest.text.normalizers])
    manifest = msgspec.structs.replace(bundle.manifest, text=text, version="", files={})
    return write_bundle(folder / "models" / source.parent.name, manifest, files)


def drained(url: str, bundle: Path, texts: list[str], poisoned: set[int], status: str, processes: int) -> float:
    """Return the good texts a second, of texts of which those of ``poisoned`` must have another status."""
    link = redis.Redis.from_url(url)
    link.flushall()
    with serving(url, bundle, processes, QUEUE) as (worker, client):
        client.submit(texts[:256])
        drain(lambda: int(link.xlen(keys.results(QUEUE))), 256)
        for _ in client.results(timeout=5, max=256):
            pass
        link.delete(keys.results(QUEUE))
        with stopped(worker):
            ids = client.submit(texts)
        seconds = drain(lambda: int(link.xlen(keys.results(QUEUE))), len(texts))
        found = {made.id: made.status for made in client.results(timeout=5, max=len(texts))}
    wrong = [row for row, ident in enumerate(ids) if found[ident] != (status if row in poisoned else "ok")]
    if wrong:
        raise SystemExit(f"{len(wrong)} texts have another status than they should, the first {found[ids[wrong[0]]]!r}")
    return (len(texts) - len(poisoned)) / seconds


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("texts", type=Path, metavar="TEXTS.csv")
    parser.add_argument("--poison", choices=STATUS, default="raises")
    parser.add_argument("--share", type=float, default=0.1, help="of all texts that are poisoned")
    parser.add_argument("--count", type=int, default=50_000, help="good texts of a run")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    good = repeated(read_texts(arguments.texts), arguments.count)
    count = round(arguments.count * arguments.share / (1.0 - arguments.share))
    every = (len(good) + count) / max(1, count)
    poisoned = {int(every * (number + 0.5)) for number in range(count)}
    rest = iter(good)
    mixed = [f"poison: {arguments.poison}" if row in poisoned else next(rest) for row in range(len(good) + count)]
    rates: dict[str, list[float]] = {"good alone": [], "with poison": []}
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis() as server:
        bundle = with_plugin(Bundle.open(arguments.bundle).path, Path(folder))
        for run in range(arguments.runs):
            for name, texts, bad in (("good alone", good, set()), ("with poison", mixed, poisoned)):
                rate = drained(server.url, bundle, texts, bad, STATUS[arguments.poison], arguments.processes)
                rates[name].append(rate)
                print(f"run {run + 1}: {name}: {rate:,.0f} good texts/s", file=sys.stderr)
    ratios = [one / other for one, other in zip(rates["with poison"], rates["good alone"], strict=True)]
    result = {
        "poison": arguments.poison,
        "share": round(count / len(mixed), 5),
        "good_texts": len(good),
        "processes": arguments.processes,
        "good_texts_per_s": {name: [round(rate, 1) for rate in found] for name, found in rates.items()},
        "ratio": round(statistics.median(ratios), 3),
    }
    if arguments.json:
        print(json.dumps(result))
        return
    share = f"{100 * result['share']:.1f} % poison that {arguments.poison}"
    print(f"{share}: good texts at {result['ratio']:.2f} of their rate alone")


if __name__ == "__main__":
    main()
