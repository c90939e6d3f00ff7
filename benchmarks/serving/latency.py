"""Milliseconds from a text to its label: one text at a time, at half of what the worker can, and past a full queue.

Idle: each way to ask the same bundle in turn, one text after the other, in rounds that alternate: Sortgate's
``Client.classify``, Celery's ``delay().get()`` of a hand-written task, and the floor, a bare loop over a stream that
keeps nothing safe. Under load: arrivals are drawn beforehand, sent together for each millisecond, and a text's time is
from when it should have been sent, so that a sender that falls behind hides nothing; the most that the worker can is
measured with the same sender. Past a full queue: urgent texts, one at a time, while other texts fill all batches.

Usage: python benchmarks/serving/latency.py BUNDLE TEXTS.csv[.gz] [--asks 500] [--rounds 5] [--seconds 20]
       [--backlog 200000] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import hiredis
import numpy as np
import redis
from texts import read_texts, repeated
from workers import running, serving

from sortgate import keys
from sortgate.bundle import Bundle
from sortgate.embedded import EmbeddedRedis

QUEUE = "bench"
#: Requests sent and not answered when the most that the worker can is measured.
AHEAD = 4_000


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the tail."""
    return {f"p{share:g}_ms": round(float(np.percentile(milliseconds, share)), 2) for share in (50, 90, 99)}


@contextlib.contextmanager
def celery(url: str, bundle: Path, processes: int) -> Iterator[Callable[[str], Any]]:
    """Run a hand-written task; gives what asks it."""
    from celery import Celery

    database = url.removesuffix("/0")
    app = Celery("yardstick", broker=f"{database}/1", backend=f"{database}/2")
    command = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-c", str(processes)]
    command += ["--without-mingle", "--without-gossip", "--without-heartbeat", "-l", "warning"]
    env = {"BENCH_BROKER": f"{database}/1", "BENCH_RESULTS": f"{database}/2", "BENCH_BUNDLE": str(bundle)}

    def ask(text: str) -> Any:
        return app.send_task("yardstick.classify", (text,)).get(timeout=60)

    with running(command, env, lambda: bool(ask("ready?"))):
        yield ask


@contextlib.contextmanager
def floor(url: str, bundle: Path) -> Iterator[Callable[[str], Any]]:
    """Run the bare loop; gives what asks it."""
    database = f"{url.removesuffix('/0')}/3"
    link = redis.Redis.from_url(database)

    def ask(text: str) -> Any:
        link.xadd("raw:requests", {"text": text, "reply": "raw:reply"}, maxlen=1000)
        return link.blpop(["raw:reply"], timeout=60)

    env = {"BENCH_BROKER": database, "BENCH_BUNDLE": str(bundle)}
    with running([sys.executable, "raw_loop.py"], env, lambda: bool(link.exists("raw:ready"))):
        yield ask


def idle(url: str, bundle: Path, texts: Sequence[str], asks: int, rounds: int, processes: int) -> dict[str, Any]:
    """Return percentiles of each way to ask, workers of all of them being there and idle."""
    with (
        serving(url, bundle, processes, QUEUE) as ours,
        celery(url, bundle, processes) as theirs,
        floor(url, bundle) as bare,
    ):
        ways = {"sortgate": ours.client.classify, "celery": theirs, "floor": bare}
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for name, ask in ways.items():
                for text in repeated(texts, asks)[: asks if number else asks // 10]:
                    started = time.perf_counter()
                    ask(text)
                    if number:  # the first round warms up
                        taken[name].append(1000.0 * (time.perf_counter() - started))
                print(f"round {number}: {name}", file=sys.stderr)
    return {name: percentiles(values) for name, values in taken.items()}


class Wire:
    """A connection to Redis without a client library's share of the cores.

    Args:
        url: of Redis, on this machine.
    """

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._socket = socket.create_connection((place.hostname or "127.0.0.1", place.port or 6379))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()
        if place.password:
            self.ask(hiredis.pack_command(("AUTH", unquote(place.password))))

    def ask(self, *commands: bytes) -> list[Any]:
        """Send commands, as :func:`hiredis.pack_command` packs them, in one go; returns their replies."""
        self._socket.sendall(b"".join(commands))
        return [self._reply() for _ in commands]

    def _reply(self) -> Any:
        while (found := self._reader.gets()) is False:
            if not (received := self._socket.recv(1 << 20)):
                raise SystemExit("Redis has closed the connection")
            self._reader.feed(received)
        if isinstance(found, hiredis.HiredisError):
            raise SystemExit(f"Redis: {found}")
        return found


class Sender:
    """Sends texts with raw commands and takes their answers from one reply stream.

    Args:
        url: of Redis.
        texts: to send, again and again.
    """

    def __init__(self, url: str, texts: Sequence[str]) -> None:
        self._send, self._take = Wire(url), Wire(url)
        self._texts = [text.encode() for text in texts]
        self.reply = keys.reply(QUEUE, "bench").encode()
        self.ended: dict[int, float] = {}
        self._take.ask(hiredis.pack_command(("XGROUP", "CREATE", self.reply, "bench", "$", "MKSTREAM")))
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def command(self, number: int) -> bytes:
        """Return the command that sends a text."""
        text, stream = self._texts[number % len(self._texts)], keys.requests(QUEUE)
        fields = (b"v", b"1", b"text", text, b"id", str(number), b"reply", self.reply)
        packed: bytes = hiredis.pack_command(("XADD", stream, b"*", *fields))
        return packed

    def send(self, commands: Sequence[bytes]) -> None:
        """Send texts in one go."""
        self._send.ask(*commands)

    def _collect(self) -> None:
        last = b"0"
        while True:
            read = ("XREAD", "COUNT", "10000", "BLOCK", "1000", "STREAMS", self.reply, last)
            [found] = self._take.ask(hiredis.pack_command(read))
            for _, entries in found or ():
                now = time.perf_counter()
                for _, fields in entries:
                    self.ended[int(fields[fields.index(b"id") + 1])] = now
                last = entries[-1][0]
                self._take.ask(hiredis.pack_command(("XTRIM", self.reply, "MINID", last)))

    def wait(self, count: int) -> None:
        """Wait until so many texts are answered."""
        until = time.monotonic() + 120
        while len(self.ended) < count:
            if time.monotonic() > until:
                raise SystemExit(f"only {len(self.ended)} of {count} texts were answered")
            time.sleep(0.005)


def most_of(sender: Sender, seconds: float) -> tuple[int, float]:
    """Send as fast as answers come; returns how many texts that were, and how many a second."""
    number, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        if number - len(sender.ended) > AHEAD:
            time.sleep(0.001)
            continue
        sender.send([sender.command(number + at) for at in range(500)])
        number += 500
    sender.wait(number)
    return number, number / (time.perf_counter() - started)


def loaded(
    url: str, bundle: Path, texts: Sequence[str], seconds: float, processes: int, rate: float | None
) -> dict[str, Any]:
    """Return percentiles at a rate, by default half of the most that the worker can while this sender is attached."""
    with serving(url, bundle, processes, QUEUE):
        sender = Sender(url, texts)
        number, most = most_of(sender, seconds / 2.0)
        rate = rate or most / 2.0
        sender.ended.clear()
        generator = np.random.default_rng(0)
        gaps = generator.exponential(1.0 / rate, size=round(rate * seconds))
        commands = [sender.command(number + row) for row in range(len(gaps))]
        due = time.perf_counter() + 0.1 + np.cumsum(gaps)
        at = 0
        while at < len(due):
            now = time.perf_counter()
            end = int(np.searchsorted(due, now))
            if end > at:
                sender.send(commands[at:end])
                at = end
            time.sleep(max(0.0, 0.001 - (time.perf_counter() - now)))
        sender.wait(len(due))
        taken = [1000.0 * (sender.ended[number + row] - due[row]) for row in range(len(due))]
    return {"most_texts_per_s": round(most), "sent_texts_per_s": round(len(due) / seconds), **percentiles(taken)}


def urgent(url: str, bundle: Path, texts: Sequence[str], backlog: int, processes: int) -> dict[str, Any]:
    """Return percentiles of urgent texts, asked for until half of ``backlog`` other texts are answered."""
    with serving(url, bundle, processes, QUEUE) as ours, redis.Redis.from_url(url) as link:
        ours.client.submit(repeated(texts, backlog))
        taken: list[float] = []
        while link.xlen(keys.requests(QUEUE)) > backlog / 2:
            started = time.perf_counter()
            ours.client.classify(texts[len(taken) % len(texts)], priority="high")
            taken.append(1000.0 * (time.perf_counter() - started))
    return {"asked": len(taken), **percentiles(taken)}


def main() -> None:
    """Print all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--asks", type=int, default=500, help="texts of a round, one after the other")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the load")
    parser.add_argument("--rate", type=float, help="texts a second of the load, by default half of the most")
    parser.add_argument("--backlog", type=int, default=200_000, help="texts in the queue that urgent ones pass")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    bundle, texts = Bundle.open(options.bundle.resolve()).path, read_texts(options.texts)
    with EmbeddedRedis() as server:
        alone = idle(server.url, bundle, texts, options.asks, options.rounds, options.processes)
    with EmbeddedRedis() as server:
        load = loaded(server.url, bundle, texts, options.seconds, options.processes, options.rate)
    with EmbeddedRedis() as server:
        past = urgent(server.url, bundle, texts, options.backlog, options.processes)
    ratios = {name: round(alone["sortgate"]["p50_ms"] / alone[name]["p50_ms"], 2) for name in ("celery", "floor")}
    if options.json:
        print(json.dumps({"idle": alone, "idle_p50_divided_by": ratios, "load": load, "urgent": past}, indent=1))
        return
    for name, values in alone.items():
        print(f"  one at a time, {name:<9} p50 {values['p50_ms']:>6.2f} ms   p99 {values['p99_ms']:>6.2f} ms")
    print(f"  Sortgate's p50 ÷ Celery's {ratios['celery']:.2f}, ÷ the floor's {ratios['floor']:.2f}")
    print(
        f"  at {load['sent_texts_per_s']:,} texts/s, of {load['most_texts_per_s']:,} at most: "
        f"p50 {load['p50_ms']:.2f} ms   p99 {load['p99_ms']:.2f} ms"
    )
    print(f"  urgent, past a full queue: p50 {past['p50_ms']:.1f} ms   p99 {past['p99_ms']:.1f} ms")


if __name__ == "__main__":
    main()
