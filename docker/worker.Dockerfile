# The worker: no torch, no compiler, no root. Build from the repository's root:
#   docker build -f docker/worker.Dockerfile -t sortgate-worker .
# Run with a read-only root file system; /tmp must be writable (a tmpfs):
#   docker run --init --read-only --tmpfs /tmp -v "$PWD/models:/models:ro" \
#     -e SORTGATE_REDIS_URL=redis://redis:6379/0 -e SORTGATE_QUEUES=tickets sortgate-worker
FROM python:3.11.14-slim-bookworm AS build

WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY worker ./worker
# The constraints hold in pip's build environments too: older pips read the first variable, newer ones the second.
ENV PIP_CONSTRAINT=/src/constraints.txt PIP_BUILD_CONSTRAINT=/src/constraints.txt PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/sortgate
RUN /opt/sortgate/bin/python -m pip install -c constraints.txt ".[worker,subword,signing]"
# Plugins that your bundles name, for example: ... install -c constraints.txt ./plugins/sortgate-nltk

FROM python:3.11.14-slim-bookworm

RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin sortgate
COPY --from=build /opt/sortgate /opt/sortgate
COPY docker/healthcheck.py /opt/sortgate/healthcheck.py
ENV PATH=/opt/sortgate/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SORTGATE_MODELS_DIR=/models \
    SORTGATE_METRICS_PORT=9108
USER 10001:10001
WORKDIR /tmp
STOPSIGNAL SIGTERM
# The port is open within the container only, unless SORTGATE_METRICS_HOST=0.0.0.0 is added.
EXPOSE 9108
# Healthy: the worker has loaded its bundles, is connected to Redis, and gets on with what there is to do.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "/opt/sortgate/healthcheck.py"]
# Queues come from SORTGATE_QUEUES, Redis from SORTGATE_REDIS_URL; one process a core unless --concurrency is added.
CMD ["sortgate", "worker"]
