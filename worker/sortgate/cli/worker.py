"""``sortgate worker``: a Celery worker with sound defaults for streams of texts."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sortgate.cli.broker import REDIS_HELP
from sortgate.errors import ConfigurationError, SortgateError


@click.command(
    epilog="""\b
Examples:
  sortgate worker --models models --queues tickets
  sortgate worker --models models --queues mail=spam,tickets --concurrency 4
  sortgate worker --models models --queues tickets --metrics-port 9108
  sortgate worker --models models --queues tickets,mail --rate-limits mail=50
  SORTGATE_REDIS_URL=rediss://… sortgate worker --models models --queues tickets"""
)
@click.option(
    "--models",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of bundles.  [env: SORTGATE_MODELS_DIR; default: ./models]",
)
@click.option("--queues", help="Queues to serve: a,b=name (a by bundle a, b by bundle name).  [env: SORTGATE_QUEUES]")
@click.option(
    "--rate-limits",
    help="Texts a second that all workers together read of a queue: a=100,b=0.5.  [env: SORTGATE_RATE_LIMITS]",
)
@click.option("--concurrency", "-c", type=click.IntRange(1), help="Processes.  [default: one a core]")
@click.option("--redis-url", help=REDIS_HELP)
@click.option("--plugins-dir", type=click.Path(path_type=Path), help="Folder of one-file plugins.")
@click.option(
    "--plugins-strict",
    is_flag=True,
    default=None,
    help="Refuse bundles that were made with another source of a plugin.  [env: SORTGATE_PLUGINS_STRICT]",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65_535),
    help="Port of /metrics, /healthz and /readyz; 0 for none.  [env: SORTGATE_METRICS_PORT; default: 0]",
)
@click.option("--metrics-host", help="Address of that port.  [env: SORTGATE_METRICS_HOST; default: 127.0.0.1]")
@click.option("--pool", default="prefork", show_default=True, help="Celery's pool; only prefork is accepted.")
@click.option("--name", help="Node name, as in Celery's --hostname.")
@click.option(
    "--loglevel",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
)
def worker(
    models: Path | None,
    queues: str | None,
    rate_limits: str | None,
    concurrency: int | None,
    redis_url: str | None,
    plugins_dir: Path | None,
    plugins_strict: bool | None,
    metrics_port: int | None,
    metrics_host: str | None,
    pool: str,
    name: str | None,
    loglevel: str,
) -> None:
    """Answer the texts of one or more queues until stopped.

    SIGTERM finishes the batches in hand, gives back the rest and exits with status 0; a second one stops at once.
    """
    given = {
        "SORTGATE_MODELS_DIR": models,
        "SORTGATE_QUEUES": queues,
        "SORTGATE_RATE_LIMITS": rate_limits,
        "SORTGATE_REDIS_URL": redis_url,
        "SORTGATE_PLUGINS_DIR": plugins_dir,
        "SORTGATE_PLUGINS_STRICT": "1" if plugins_strict else None,
        "SORTGATE_METRICS_PORT": metrics_port,
        "SORTGATE_METRICS_HOST": metrics_host,
    }
    # Through the environment, so that `celery -A sortgate.celery` and every pool process see the same settings.
    os.environ.update({key: str(value) for key, value in given.items() if value is not None})
    from sortgate.celery import app
    from sortgate.worker.served import preflight

    if pool != "prefork":
        raise ConfigurationError(
            f"pool {pool!r} cannot be used: texts that hang or crash need processes; start with --pool prefork"
        )
    preflight(app.conf.sortgate_settings)
    arguments = ["worker", "--pool", pool, "--loglevel", loglevel]
    arguments += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    if concurrency:
        arguments += ["--concurrency", str(concurrency)]
    if name:
        arguments += ["--hostname", name]
    app.worker_main(arguments)
    fatal: SortgateError | None = getattr(app, "sortgate_fatal", None)
    if fatal is not None:
        raise fatal
    raise SystemExit(getattr(app, "sortgate_status", 0) or 0)
