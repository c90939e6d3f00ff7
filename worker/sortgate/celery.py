"""The Celery application: ``celery -A sortgate.celery worker``."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue

from sortgate import keys
from sortgate.settings import Settings
from sortgate.worker import steps, tasks


def create_app(settings: Settings) -> Celery:
    """Return the application for ``settings``; connects to nothing."""
    names = [keys.celery_queue(item.partition("=")[0]) for item in settings.queues]
    # each with an exchange of its own: by default all would be bound to that of the first, and get its messages too
    queues = [Queue(name, Exchange(name), name) for name in names]  # type: ignore[no-untyped-call]  # kombu is untyped
    transport: dict[str, Any] = {
        "socket_timeout": settings.socket_timeout_s,
        "socket_connect_timeout": settings.socket_timeout_s,
        "socket_keepalive": True,
        "health_check_interval": 2,
        "retry_on_timeout": True,
        # The default looks for lost messages only every 100 seconds.
        "unacked_restore_throttle": 1,
    }
    broker, streams = _checked(settings.broker), _checked(settings.redis_url)
    # Results go where the broker is, if that is a Redis: the streams may be on a cluster, which Celery cannot use.
    backend = broker if broker.startswith(("redis://", "rediss://", "unix://")) else streams
    app = Celery("sortgate", broker=broker, backend=backend, set_as_current=False)
    app.conf.update(
        sortgate_settings=settings,
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        result_accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A refused command (a replica after a failover, a full disk, rights that changed) must not end the worker.
        broker_channel_error_retry=True,
        worker_consumer="sortgate.worker.consumer:Consumer",
        broker_transport_options=transport,
        result_backend_transport_options=transport,
        redis_socket_timeout=settings.socket_timeout_s,
        redis_socket_connect_timeout=settings.socket_timeout_s,
        redis_socket_keepalive=True,
        redis_retry_on_timeout=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=settings.batch_timeout_s,
        task_queues=queues or None,
        task_default_queue=names[0] if names else keys.celery_queue("default"),
        worker_prefetch_multiplier=1,
        worker_pool="prefork",
        # Loading a large bundle may take longer than Celery's 4 seconds, after which it kills the process.
        worker_proc_alive_timeout=60.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=False,
        worker_redirect_stdouts=False,
    )
    tasks.register(app)
    steps.install(app)
    return app


def _checked(url: str) -> str:
    """Return the URL with what redis-py does unasked and Celery wants to read: that the server's certificate counts."""
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"


app = create_app(Settings.from_env())
