"""Runs fuzz targets, from a few examples in a test to hours by hand; what failed can be run again by its seed."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

_ROUND = 500


@dataclass
class Target:
    """What is fuzzed: an exception that ``check`` lets out is a finding.

    Attributes:
        check: is given one example.
        examples: where they come from.
        ran: how many have been run.
    """

    check: Callable[..., None]
    examples: st.SearchStrategy[dict[str, Any]]
    ran: int = 0

    def run(self, number: int, examples: int) -> None:
        """Run this many examples; the same number gives the same ones."""

        def example(values: dict[str, Any]) -> None:
            self.ran += 1
            self.check(**values)

        options = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        seed(number)(options(given(self.examples)(example)))()


def fuzz(**arguments: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Target]:
    """Make a target of a function, with a strategy for each of its arguments."""
    return lambda check: Target(check, st.fixed_dictionaries(arguments))


def main(targets: Mapping[str, Target], description: str | None) -> None:
    """Run the targets in turns until the time is over; ends with status 1 at the first finding."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"Runs rounds of {_ROUND} examples, each with its own seed. A finding is shrunk to a small example and "
        "printed with the\ncommand that runs its round again. Nothing is written but to a temporary folder.",
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (default: 1); 0 for one round")
    parser.add_argument("--target", choices=sorted(targets), help="one target alone (default: all in turns)")
    parser.add_argument("--seed", type=int, help="of the first round (default: a random one)")
    chosen = parser.parse_args()
    number = random.randrange(2**32) if chosen.seed is None else chosen.seed
    running = {chosen.target: targets[chosen.target]} if chosen.target else dict(sorted(targets.items()))
    started = shown = time.monotonic()

    def say() -> None:
        done = ", ".join(f"{name} {target.ran:,}" for name, target in running.items())
        print(f"{time.monotonic() - started:.0f} s, examples: {done}", flush=True)

    while True:
        for name, target in running.items():
            try:
                target.run(number, _ROUND)
            except KeyboardInterrupt:
                say()
                return
            except BaseException:
                print(f"\nfound by: {sys.argv[0]} --target {name} --seed {number} --minutes 0", file=sys.stderr)
                say()
                raise
        number = (number + 1) % 2**32
        now = time.monotonic()
        if now - shown > 30:
            say()
            shown = now
        if now - started >= chosen.minutes * 60:
            break
    say()
    print("nothing found")
