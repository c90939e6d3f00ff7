"""compose.yaml and the Kubernetes manifest: durable Redis, hardened workers, health checks, nothing unpinned."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sortgate.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
POD = yaml.safe_load((ROOT / "docker/kubernetes/worker.yaml").read_text())["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]


def seconds(value: str) -> int:
    return int(value.removesuffix("s"))


def test_redis_keeps_what_it_accepted() -> None:
    redis = SERVICES["redis"]
    command = " ".join(redis["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert redis["volumes"] == ["redis-data:/data"]
    assert "redis-data" in COMPOSE["volumes"]
    assert all(port.startswith("127.0.0.1:") for port in redis["ports"]), "without a password: this host only"
    assert re.fullmatch(r"redis:\d+\.\d+\.\d+-\w+", redis["image"])


def test_workers_can_be_scaled() -> None:
    """A fixed container name or host port would make the second worker fail to start."""
    assert not SERVICES["worker"].keys() & {"container_name", "ports", "hostname"}
    assert "profiles" not in SERVICES["worker"]


@pytest.mark.parametrize("name", ["redis", "worker", "train"])
def test_file_systems_are_read_only(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", ["redis", "worker"])
def test_services_have_health_checks(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert seconds(check["timeout"]) <= seconds(check["interval"])


def test_worker_waits_for_redis_and_is_given_time_to_stop() -> None:
    worker = SERVICES["worker"]
    assert worker["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert seconds(worker["stop_grace_period"]) > Settings().batch_timeout_s
    assert POD["terminationGracePeriodSeconds"] > Settings().batch_timeout_s


def test_worker_check_is_the_one_of_the_image() -> None:
    dockerfile = (ROOT / "docker/worker.Dockerfile").read_text()
    command = json.dumps(SERVICES["worker"]["healthcheck"]["test"][1:])
    assert f"CMD {command}" in dockerfile


def test_probes_ask_the_port_that_the_image_opens() -> None:
    env = {variable["name"]: variable.get("value") for variable in CONTAINER["env"]}
    assert env["SORTGATE_METRICS_HOST"] == "0.0.0.0", "probes come from outside of the pod"
    [port] = CONTAINER["ports"]
    dockerfile = (ROOT / "docker/worker.Dockerfile").read_text()
    assert f"SORTGATE_METRICS_PORT={port['containerPort']}\n" in dockerfile
    assert CONTAINER["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    assert CONTAINER["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}


def test_an_outage_of_redis_restarts_no_worker_for_ten_minutes() -> None:
    """It heals by itself, and one that is restarted meanwhile cannot start."""
    liveness = CONTAINER["livenessProbe"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 600


def test_every_variable_set_is_one_that_sortgate_reads() -> None:
    known = {f"SORTGATE_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert set(SERVICES["worker"]["environment"]) <= known
    assert {variable["name"] for variable in CONTAINER["env"]} <= known


def test_training_is_not_started_by_default() -> None:
    assert SERVICES["train"]["profiles"] == ["training"]


@pytest.mark.parametrize("name", ["worker", "train"])
def test_build_files_exist(name: str) -> None:
    build = SERVICES[name]["build"]
    assert (ROOT / "docker" / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()


def test_pod_is_hardened() -> None:
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert f"USER {POD['securityContext']['runAsUser']}:" in (ROOT / "docker/worker.Dockerfile").read_text()
    own = CONTAINER["securityContext"]
    assert own["readOnlyRootFilesystem"] is True
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert {mount["mountPath"] for mount in CONTAINER["volumeMounts"]} == {"/models", "/tmp"}
