"""A skipped test proves nothing, so with CI=true a skip is a failure.

The one exception is a limit of the kernel or platform that no install step can mend. It is asked for by name,

    @pytest.mark.platform_limit("netns")

and the name must stand in `LIMITS` below with the probe that decides. The probe alone skips the test (before any of its
fixtures), and only such a skip is pardoned: it is printed with its reason among the short summary and fails nothing.
A test with the marker that skips for any other reason fails in CI like every other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logs_end_with_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command in this process logs to ends with it: no later test writes there."""
    configure = structlog.configure
    monkeypatch.setattr(
        structlog,
        "configure",
        lambda *given, **named: configure(*given, **{**named, "cache_logger_on_first_use": False}),
    )
    yield
    structlog.reset_defaults()


def _runs(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0


def _can_cut_power() -> bool:
    from tests.store.power_cuts import can_cut  # here: every test reads this file, few need that one

    return can_cut()


def _can_limit_memory() -> bool:
    from tests.acceptance.narrow import can_limit_memory

    return can_limit_memory()


# name → what is missing where the probe says no, and the probe
LIMITS: dict[str, tuple[str, Callable[[], bool]]] = {
    "root": ("needs root", lambda: os.geteuid() == 0),
    "netns": ("the kernel does not let us make a network namespace", lambda: _runs("unshare", "--net", "true")),
    "nft": (
        "the kernel does not let us count packets in a network namespace",
        lambda: _runs("unshare", "--net", "sh", "-c", "PATH=$PATH:/usr/sbin nft add table inet some"),
    ),
    "bwrap": ("bubblewrap cannot make a sandbox here", lambda: _runs("bwrap", "--ro-bind", "/", "/", "true")),
    "power_cuts": ("needs root, loop devices and ext4 for a disk whose power can be cut", _can_cut_power),
    "memory_cgroup": ("needs root and a memory cgroup that can be made here", _can_limit_memory),
    "systemd": ("systemd-analyze is part of systemd", lambda: shutil.which("systemd-analyze") is not None),
}
ROOT = Path(__file__).parent
AGAINST_THE_CLOCK = ("acceptance", "connections", "demo", "evidence", "runtime", "steps")
_PARDONED = pytest.StashKey[bool]()


@cache
def _given(limit: str) -> bool:
    return LIMITS[limit][1]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"platform_limit(name): skipped where the platform lacks one of {sorted(LIMITS)}"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs real processes against the wall clock is run once more when it fails, and named in the last lines: on a
    machine that stands still for seconds, one failure in thousands tells nothing of the product; two in a row do."""
    for item in items:
        if item.path.relative_to(ROOT).parts[0] in AGAINST_THE_CLOCK:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("platform_limit"):
        (name,) = marker.args
        if name not in LIMITS:
            pytest.fail(f"platform_limit({name!r}): no such limit; tests/conftest.py knows {sorted(LIMITS)}")
        if not _given(name):
            item.stash[_PARDONED] = True
            pytest.skip(f"platform limit {name}: {LIMITS[name][0]}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # An expected failure is reported as "skipped" too, but it ran.
    if report.skipped and not hasattr(report, "wasxfail") and not item.stash.get(_PARDONED, False):
        _fail_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:  # a whole module, by `importorskip` for instance
        _fail_in_ci(report)
    return report


def _fail_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") != "true":
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"skipped, and with CI=true a skip is a failure: {reason.removeprefix('Skipped: ')}"


@pytest.fixture(autouse=True, scope="session")
def no_proxies() -> Iterator[None]:
    """Tests speak to loopback; a proxy of the person's environment must not stand between."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        yield
