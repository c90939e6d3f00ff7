"""``sortgate results``: collect results as JSON lines."""

from __future__ import annotations

import sys

import click

from sortgate.cli.broker import queue_option, redis_option
from sortgate.cli.output import closed_stdout, print_json_line, progress
from sortgate.client import Client
from sortgate.errors import ConfigurationError


@click.command(
    epilog="""\b
Examples:
  sortgate results --queue tickets > answers.jsonl
  sortgate results --queue tickets --max 100 --timeout 60
  sortgate results --queue tickets --forever | my-service"""
)
@queue_option
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=5.0,
    show_default=True,
    help="End when no result came for this many seconds.",
)
@click.option("--forever", is_flag=True, help="Never end for want of results.")
@click.option("--max", "most", type=click.IntRange(1), help="End after so many results.")
@redis_option
def results(queue: str, timeout: float, forever: bool, most: int | None, redis_url: str | None) -> None:
    """Print results, one JSON object a line, and delete them from Redis once they are written.

    Several collectors share the results out among them.
    """
    if closed_stdout():
        raise ConfigurationError("standard output is closed: results are deleted once they are printed, so none is")
    with Client(redis_url, queue) as client, progress("results", most) as done:
        iteration = client.results(None if forever else timeout, most)
        try:
            for result in iteration:
                print_json_line(result)
                # Written for good before the iterator moves on, which deletes the result.
                sys.stdout.flush()
                done(1)
        finally:
            iteration.close()
            if client.undeleted:
                click.echo(
                    f"sortgate: warning: {client.undeleted:,} of the results that were printed could not be deleted "
                    "from Redis and will come again: compare ids",
                    err=True,
                )
