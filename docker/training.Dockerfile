# Training: torch and all. Build from the repository's root:
#   docker build -f docker/training.Dockerfile -t sortgate-training .
# Where there is no GPU, the CPU build of PyTorch is a tenth of the size. PyTorch's "Get Started" page names the package
# index of its CPU builds; hand it to pip, which then prefers that build of the version that constraints.txt names:
#   docker build -f docker/training.Dockerfile -t sortgate-training --build-arg PIP_EXTRA_INDEX_URL=<that index> .
# Train:
#   docker run --rm -v "$PWD/texts:/data:ro" -v "$PWD/models:/models" sortgate-training \
#     train /data/tickets.csv --out /models/tickets
FROM python:3.11.14-slim-bookworm AS build

ARG PIP_EXTRA_INDEX_URL=""
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY worker ./worker
COPY training ./training
ENV PIP_CONSTRAINT=/src/constraints.txt PIP_BUILD_CONSTRAINT=/src/constraints.txt PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/sortgate
RUN /opt/sortgate/bin/python -m pip install -c constraints.txt ".[cli,inference,subword]" ./training

FROM python:3.11.14-slim-bookworm

RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin sortgate \
    && install --directory --owner 10001 --group 10001 /models
COPY --from=build /opt/sortgate /opt/sortgate
ENV PATH=/opt/sortgate/bin:$PATH \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
STOPSIGNAL SIGINT
# A job, not a service: its exit status is its health.
HEALTHCHECK NONE
ENTRYPOINT ["sortgate"]
CMD ["train", "--help"]
