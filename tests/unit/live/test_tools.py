"""Finding the programs of the private prefix; the prlimit shim at work."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tcvs_core.live.tools import ToolMissing, Tools, has_capability

TOP = Path(__file__).resolve().parents[3]

CALLER = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct rlimit limit;
    long pid = atol(argv[1]), which = atol(argv[2]);
    if (argc != 3 || syscall(SYS_prlimit64, pid, which, NULL, &limit) < 0) {
        perror("prlimit64");
        return 1;
    }
    printf("%lu %lu\n", (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
    return 0;
}
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A prefix that looks complete."""
    for name in (
        "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "usr/sbin/criu",
        "usr/bin/wayvnc",
        "usr/share/novnc/core/rfb.js",
        "lib-tcvs/tcvs-prlimit.so",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_programs_run_through_the_prefixs_own_loader(prefix: Path) -> None:
    tools = Tools(prefix)
    loader = [
        str(prefix / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        "--library-path",
        str(prefix / "usr/lib/x86_64-linux-gnu"),
    ]
    assert tools.wayvnc() == [*loader, str(prefix / "usr/bin/wayvnc")]
    assert tools.novnc() == prefix / "usr/share/novnc"
    preload = [] if has_capability(24) else ["--preload", str(tools.shim())]
    assert tools.criu() == [*loader, *preload, str(prefix / "usr/sbin/criu")]


def test_an_empty_prefix(tmp_path: Path) -> None:
    tools = Tools(tmp_path)
    with pytest.raises(ToolMissing) as caught:
        tools.shim()
    assert caught.value.hint == "run `make setup`"
    if shutil.which("wayvnc") is None:
        with pytest.raises(ToolMissing, match="wayvnc is not installed"):
            tools.wayvnc()


def test_capabilities_are_read_from_the_kernel() -> None:
    mask = next(
        line.split()[1]
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapEff:")
    )
    held = {number for number in range(64) if has_capability(number)}
    assert sum(1 << number for number in held) == int(mask, 16)


@pytest.mark.live
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_the_shim_answers_refused_reads(tmp_path: Path) -> None:
    shim, caller = tmp_path / "shim.so", tmp_path / "caller"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
    source = tmp_path / "caller.c"
    source.write_text(CALLER)
    subprocess.run(
        ["gcc", *flags, "-shared", "-fPIC", "-fvisibility=hidden", "-o", shim, TOP / "criu/shim.c"],
        check=True,
    )
    subprocess.run(["gcc", *flags, "-o", caller, source], check=True)
    loader = "/lib64/ld-linux-x86-64.so.2"
    other = subprocess.Popen(
        [
            *("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"),
            *("prlimit", "--nofile=77:99", "--cpu=unlimited", "sh", "-c", "echo; exec sleep 60"),
        ],
        stdout=subprocess.PIPE,
    )

    def ask(which: int, *preload: str) -> subprocess.CompletedProcess[str]:
        weak = ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]
        command = [*weak, loader, *preload, str(caller), str(other.pid), str(which)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    try:
        assert other.stdout is not None
        other.stdout.readline()
        plain = ask(7)
        assert plain.returncode == 1
        assert "not permitted" in plain.stderr
        with_shim = ["--preload", str(shim)]
        assert ask(7, *with_shim).stdout == "77 99\n"
        assert ask(0, *with_shim).stdout.split() == [str(2**64 - 1)] * 2
        assert ask(99, *with_shim).returncode == 1  # no such resource
    finally:
        other.kill()
        other.communicate()
