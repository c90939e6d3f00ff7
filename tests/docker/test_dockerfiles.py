"""Rules that the images keep, read off the Dockerfiles: no root, nothing unpinned, no torch in the worker."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INSTRUCTIONS = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "WORKDIR",
}  # fmt: skip


def test_only_known_instructions(stages: Any) -> None:
    """A misspelt keyword fails here, and ADD, which unpacks and downloads, is not used."""
    assert {keyword for stage in stages for keyword, _ in stage.steps} <= INSTRUCTIONS


def test_base_images_are_pinned_to_a_patch_version_and_alike(stages: Any) -> None:
    bases = {stage.base for stage in stages}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases.pop())


def test_the_final_stage_does_not_run_as_root(stages: Any) -> None:
    final = stages[-1]
    user = final.last("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a number, so that Kubernetes can check it is not root"
    assert f"--uid {user.partition(':')[0]}" in " ".join(final.all("RUN"))
    # nothing after USER needs root, and nothing before it runs the service
    order = [keyword for keyword, _ in final.steps]
    assert not {"RUN", "COPY"} & set(order[order.index("USER") :])


def test_installs_use_the_constraints_and_stay_in_the_build_stage(stages: Any) -> None:
    build, final = stages
    installs = [step for step in build.all("RUN") if "pip" in step]
    assert installs
    assert all("install -c constraints.txt" in step for step in installs)
    assert build.env["PIP_CONSTRAINT"] == build.env["PIP_BUILD_CONSTRAINT"] == "/src/constraints.txt"
    assert not [step for step in final.all("RUN") if "pip" in step or "apt-get" in step]
    assert [step for step in final.all("COPY") if step.startswith("--from=build ")]


def test_files_copied_from_the_context_exist_and_are_sent_to_the_engine(stages: Any) -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for stage in stages:
        for step in stage.all("COPY"):
            if not step.startswith("--from"):
                for source in step.split()[:-1]:
                    assert (ROOT / source).exists(), source
                    assert source.removeprefix("./") in sent, f".dockerignore keeps back {source}"


def test_the_root_file_system_may_be_read_only(stages: Any) -> None:
    env = stages[-1].env
    assert env["PYTHONDONTWRITEBYTECODE"] == "1"
    assert env["HOME"] == "/tmp"
    assert stages[-1].last("WORKDIR") == "/tmp"


def test_worker_brings_no_training(worker_stages: Any) -> None:
    build, final = worker_stages
    instructions = " ".join(argument for stage in (build, final) for _, argument in stage.steps)
    assert "torch" not in instructions
    assert "training" not in instructions


def test_worker_starts_stops_and_is_checked_in_exec_form(worker_stages: Any) -> None:
    final = worker_stages[-1]
    assert final.command == ["sortgate", "worker"]
    assert final.last("STOPSIGNAL") == "SIGTERM"
    options, _, check = final.last("HEALTHCHECK").partition(" CMD ")
    assert {"--interval", "--timeout", "--start-period"} <= {
        option.partition("=")[0] for option in shlex.split(options)
    }
    program, script = json.loads(check)
    assert program == "python"
    assert f"COPY docker/healthcheck.py {script}" in [f"{k} {a}" for k, a in final.steps]


def test_training_is_a_job_and_takes_the_index_of_cpu_builds(training_stages: Any) -> None:
    build, final = training_stages
    assert final.command == ["sortgate", "train", "--help"]
    assert final.last("HEALTHCHECK") == "NONE"
    assert 'PIP_EXTRA_INDEX_URL=""' in build.all("ARG")
    text = (ROOT / "docker/training.Dockerfile").read_text()
    assert "--build-arg PIP_EXTRA_INDEX_URL=" in text
