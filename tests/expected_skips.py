"""A pytest plugin: skips are allowed only for reasons that are written down here.

With ``TCVS_CI=1`` a test, a module or a fixture that skips for any other reason fails, so that a
machine that lacks something cannot look like one where everything passed.  Tests marked ``live``
are skipped where this process is not root.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator

import pytest

#: What a continuous-integration machine may lack, as regular expressions for the whole reason.
EXPECTED: tuple[str, ...] = (
    # Limits are optional by design, and many machines mount the controllers the old way.
    r".*cgroup ?(v?2).*",
    # One case of many of what cannot be captured.
    r"this kernel has no /dev/fuse",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root where there is none."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("live") is not None:
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the unexpected skip of a test or fixture into a failure."""
    report = yield
    if not hasattr(report, "wasxfail"):
        judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the unexpected skip of a whole module into a failure."""
    report = yield
    judge(report)
    return report


def judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make the report a failure when it is a skip that nobody expects here."""
    if report.outcome != "skipped" or os.environ.get("TCVS_CI") != "1":
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not expected(reason):
        report.outcome = "failed"
        report.longrepr = (
            f"skipped for a reason that tests/expected_skips.py does not expect: {reason}"
        )


def expected(reason: str) -> bool:
    """Tell whether a skip for this reason is allowed in continuous integration."""
    return any(re.fullmatch(pattern, reason, re.DOTALL) for pattern in EXPECTED)
