"""Memory of a worker that meets ever new words: ``spacy.tokens.v1`` beside a tokenizer of spaCy's that is kept.

Each process reads the same made-up words, each of them once, and prints its resident memory as it goes on, in megabytes
above that of its first words. Linux only.

Usage: python benchmarks/plugins/spacy_memory.py [--words 1000000] [--steps 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

WORDS_A_TEXT = 40


def resident_mb() -> float:
    """Return this process's resident memory in megabytes (``proc_pid_statm(5)``, pages of 4 KiB)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def create(who: str) -> Callable[[str], list[str]]:
    """Return the tokenizer."""
    if who == "sortgate-spacy":
        from sortgate_spacy import Rules

        return Rules()
    import spacy

    tokenizer = spacy.blank("en").tokenizer
    return lambda text: [token.text for token in tokenizer(text)]


def grow(who: str, words: int, steps: int) -> None:
    """Print the growth after each step."""
    tokenize = create(who)
    tokenize(" ".join(f"first{number}" for number in range(1_000)))
    before, grown = resident_mb(), []
    for step in range(steps):
        for text in range(words // steps // WORDS_A_TEXT):
            tokenize(" ".join(f"w{step}x{text}y{number}," for number in range(WORDS_A_TEXT)))
        grown.append(resident_mb() - before)
    print(f"| {who} | {' | '.join(f'{mb:.0f}' for mb in grown)} |")


def main() -> None:
    """Run each in a process of its own."""
    parser = argparse.ArgumentParser(prog="spacy_memory.py", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--who", choices=["spaCy", "sortgate-spacy"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.who:
        grow(arguments.who, arguments.words, arguments.steps)
        return
    marks = [arguments.words * step // arguments.steps for step in range(1, arguments.steps + 1)]
    print(f"| words: | {' | '.join(f'{mark:,}' for mark in marks)} |\n| --- |{' ---: |' * len(marks)}", flush=True)
    for who in ("spaCy", "sortgate-spacy"):
        options = ["--who", who, "--words", str(arguments.words), "--steps", str(arguments.steps)]
        subprocess.run([sys.executable, __file__, *options], check=True)


if __name__ == "__main__":
    main()
