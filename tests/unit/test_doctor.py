"""``tcvs doctor``'s checks on this very machine."""

from __future__ import annotations

import json
from pathlib import Path

from tcvs_core.workspace.doctor import MAIN, Check, Report, run_checks


def by_name(report: Report) -> dict[str, Check]:
    found = {check.name: check for check in report}
    assert len(found) == len(report.checks)
    return found


def test_every_lacking_thing_has_a_reason_and_a_fix(tmp_path: Path) -> None:
    report = run_checks(tmp_path, tmp_path / "no" / "repo")
    for check in report:
        assert check.needed_for
        if not check.ok:
            assert check.reason, check
            assert check.fix, check
    json.dumps(report.to_dict())


def test_without_tools_the_main_job_cannot_run(tmp_path: Path) -> None:
    report = run_checks(tmp_path)
    found = by_name(report)
    assert not found["noVNC"].ok or Path("/usr/share/novnc/core/rfb.js").exists()
    if not found["criu"].ok:
        assert found["criu"].needed_for == MAIN
        assert "make setup" in str(found["criu"].fix)
        assert not report.ok
        assert report.engine is None


def test_a_program_that_does_not_run_is_noticed(tmp_path: Path) -> None:
    loader = tmp_path / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    for path in (loader, tmp_path / "usr/sbin/criu", tmp_path / "lib-tcvs/tcvs-prlimit.so"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\necho 'Version: 4.1.1'\nexit 1\n")
        path.chmod(0o755)
    found = by_name(run_checks(tmp_path))
    assert not found["criu"].ok
    assert "before 4.2" in str(found["criu"].reason)
    assert found["criu"].found.startswith("4.1.1")
    assert not found["criu check"].ok
    loader.chmod(0o644)
    assert "does not run" in str(by_name(run_checks(tmp_path))["criu"].reason)


def test_the_disk_of_the_repository_is_looked_at(tmp_path: Path) -> None:
    check = by_name(run_checks(tmp_path, tmp_path / "deep" / "repo"))["disk"]
    assert str(tmp_path) in check.found
