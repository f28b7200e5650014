"""The image, Compose, Kubernetes and systemd: least rights, pinned parts, commands and settings that synthmon has."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from synthmon import __version__
from synthmon.language.load import load
from tests.servers.process import program

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = (DEPLOY / "synthmon.service").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes/synthmon.yaml").read_text()))
LOCKS = ["requirements.lock", "build.lock"]
PROBE = """\
journey: front-page
every: 1m
system: shop
steps:
  - id: home
    http: GET /
    expect:
      - status == 200
"""


def instructions(word: str) -> list[str]:
    """The arguments of one kind of instruction in the last stage of the Dockerfile."""
    last = re.split(r"(?m)^FROM ", DOCKERFILE)[-1].replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in last.splitlines() if line.startswith(f"{word} ")]


@pytest.mark.platform_limit("systemd")
def test_the_service_is_nearly_a_sealed_box() -> None:
    done = subprocess.run(
        [program("systemd-analyze"), "security", "--offline=true", "--no-pager", str(DEPLOY / "synthmon.service")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    exposure = re.search(r"Overall exposure level for synthmon.service: ([\d.]+)", done.stdout)
    assert exposure, done.stdout + done.stderr
    assert float(exposure[1]) <= 1.5


def test_the_image_runs_as_nobody_and_is_asked_for_its_health() -> None:
    assert instructions("USER") == ["65534:65534"]
    assert len(instructions("HEALTHCHECK")) == 1
    assert "/healthz" in instructions("HEALTHCHECK")[0]
    assert instructions("VOLUME") == ["/var/lib/synthmon"]


def test_every_install_in_the_image_is_by_hash_or_from_what_was_just_built() -> None:
    installs = re.findall(r"pip [^&\n]*?install ([^&\n]+)", DOCKERFILE)

    assert len(installs) == 3
    assert all("--require-hashes" in words or "--no-index" in words for words in installs)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_everything_by_hash_and_holds_no_address_or_path(lock: str) -> None:
    text = (DEPLOY / lock).read_text()
    pinned = re.findall(r"(?m)^[a-z0-9][a-z0-9._-]*==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text)
    named = re.findall(r"(?m)^[a-z0-9]\S*", text)

    assert len(pinned) == len(named) > 3
    assert re.findall(r"https?:|file:|--(?!hash)\S+|(?<![.\w])/\w+/", text) == []


def test_the_locks_hold_every_dependency_and_are_for_the_python_of_the_image() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    needed = re.search(r"(?ms)^dependencies = \[(.*?)^\]", project)
    assert needed
    names = {re.split(r"[\[<>=~ ]", name)[0].lower().replace("_", "-") for name in re.findall(r'"([^"]+)"', needed[1])}

    lock = (DEPLOY / "requirements.lock").read_text()
    pythons = {match for file in LOCKS for match in re.findall(r"with Python (\S+)", (DEPLOY / file).read_text())}

    assert {name for name in names if f"\n{name}==" not in lock} == set()
    assert set(re.findall(r"(?m)^FROM python:(\d\.\d+)-slim", DOCKERFILE)) == pythons
    assert "\nhatchling==" in (DEPLOY / "build.lock").read_text()


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_of_compose_has_no_rights_to_spare(name: str) -> None:
    service = COMPOSE["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "65534:65534"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert not service.get("privileged")


def test_what_compose_mounts_is_there() -> None:
    mounts = {
        mount.split(":")[0]
        for service in COMPOSE["services"].values()
        for mount in service["volumes"]
        if mount.startswith("./")
    }

    theirs_to_bring = {"./probes"}
    assert {mount for mount in mounts - theirs_to_bring if not (DEPLOY / mount).is_file()} == set()


def test_the_pod_meets_the_restricted_standard() -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    (deployment,) = [one for one in KUBERNETES if one["kind"] == "Deployment"]
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    allowed = set("configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret".split())
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= allowed
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not any("hostPort" in port for port in container["ports"])
    assert container["image"] == f"synthmon:{__version__}"


def test_every_way_starts_a_command_that_synthmon_has() -> None:
    (started,) = re.findall(r"(?m)^ExecStart=(.*)$", UNIT)
    ways = [shlex.split(started)[1:], yaml.safe_load(instructions("CMD")[0])]

    for words in ways:
        told = subprocess.run(
            [sys.executable, "-c", "from synthmon.cli.main import main; main()", words[0], "--help"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "NO_COLOR": "1", "TERM": "dumb"},
        ).stdout
        assert {word for word in words if word.startswith("--") and word not in told} == set()


@pytest.mark.parametrize("files", [["synthmon.yaml"], ["synthmon.yaml", "container.yaml"]])
def test_the_sample_settings_load_without_a_complaint(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "a-token-for-the-sample")
    (tmp_path / "front-page.yaml").write_text(PROBE)

    loaded = load([str(tmp_path)], [str(DEPLOY / file) for file in files])

    assert [str(problem) for problem in loaded.problems] == []
    assert [journey.name for journey in loaded.journeys] == ["front-page"]


def test_a_container_that_listens_to_others_asks_for_a_token() -> None:
    settings = yaml.safe_load((DEPLOY / "container.yaml").read_text())

    assert not settings["listen"].startswith("127.")
    assert settings["web"]["token"] == "file:/run/secrets/synthmon_token"
    assert "synthmon_token" in COMPOSE["services"]["synthmon"]["secrets"]


def test_the_time_to_stop_is_longer_than_the_grace_of_runs() -> None:
    (deployment,) = [one for one in KUBERNETES if one["kind"] == "Deployment"]
    grace_s = int(re.findall(r"(?m)^  grace: (\d+)s$", (DEPLOY / "synthmon.yaml").read_text())[0])
    stops_s = [
        int(re.findall(r"(?m)^TimeoutStopSec=(\d+)s$", UNIT)[0]),
        int(COMPOSE["services"]["synthmon"]["stop_grace_period"].removesuffix("s")),
        deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
    ]

    assert min(stops_s) >= 2 * grace_s
