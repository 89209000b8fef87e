"""Making images for real: as root, on small hand-made systems and with mmdebstrap."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from tcvs_core.live.image import ImageBuildFailed, NotAnImage, build, import_tree
from tcvs_core.live.image.configure import configure
from tcvs_core.live.image.tree import Tree

pytestmark = pytest.mark.live


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """The least that passes for the root of a system with a desktop."""
    root = tmp_path / "system"
    for directory in ("etc/skel", "usr/bin", "run", "tmp", "dev", "proc", "sys", "home"):
        (root / directory).mkdir(parents=True)
    (root / "etc/passwd").write_text(
        "root:x:0:0::/root:/bin/bash\nbuilder:x:1000:1000::/b:/bin/sh\n"
    )
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/shadow").write_text("root:*:1::::::\n")
    (root / "etc/resolv.conf").symlink_to("../run/resolv.conf")
    (root / "etc/skel/.bashrc").write_text("# shell")
    for name in ("labwc", "dbus-daemon", "wlr-randr", "catatonit"):
        (root / "usr/bin" / name).write_text("#!/bin/true")
    (root / "run/leftover").write_text("x")
    (root / "usr/bin/labwc").chmod(0o4755)
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    directory = tmp_path / "target"
    directory.mkdir()
    return directory


def check_image(root: Path) -> None:
    """Check what the rest of tcvs relies on."""
    users = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    assert [user[0] for user in users] == ["root", "user"]
    assert users[1][2:6:3] == ["1000", "/home/user"]
    for path, mode, owner in (
        ("tmp", 0o1777, 0),
        ("dev/shm", 0o1777, 0),
        ("run/user/1000", 0o700, 1000),
        ("home/user", 0o755, 1000),
        ("home/user/Documents", 0o755, 1000),
        ("var/log/tcvs", 0o755, 1000),
        ("etc/tcvs/session", 0o755, 0),
        ("etc/xdg/labwc/rc.xml", 0o644, 0),
    ):
        info = (root / path).stat()
        assert (stat.S_IMODE(info.st_mode), info.st_uid) == (mode, owner), path
    null = (root / "dev/null").stat()
    assert stat.S_ISCHR(null.st_mode)
    assert null.st_rdev == os.makedev(1, 3)
    assert os.readlink(root / "dev/ptmx") == "pts/ptmx"
    assert sorted(os.listdir(root / "run")) == ["dbus", "lock", "user"]
    assert (root / "etc/resolv.conf").read_bytes() == b""
    assert not (root / "etc/resolv.conf").is_symlink()
    assert len((root / "etc/machine-id").read_text().strip()) == 32


def test_configure(system: Path) -> None:
    with Tree(system) as tree:
        configure(tree, ("common", "desktop"))
    check_image(system)
    assert (system / "home/user/.bashrc").stat().st_uid == 1000
    office = system / "home/user/.config/libreoffice/4/user/registrymodifications.xcu"
    assert office.stat().st_uid == 1000
    assert office.parent.stat().st_uid == 1000
    assert (system / "etc/chromium/policies/managed/tcvs.json").stat().st_uid == 0


def test_configure_again_changes_nothing(system: Path) -> None:
    with Tree(system) as tree:
        configure(tree, ("common",))
        once = (system / "etc/passwd").read_text()
        (system / "home/user/.bashrc").write_text("mine")
        configure(tree, ("common",))
    assert (system / "etc/passwd").read_text() == once
    assert (system / "home/user/.bashrc").read_text() == "mine"


def test_import_directory(system: Path, target: Path) -> None:
    said: list[tuple[str, float]] = []
    found = import_tree(system, target, lambda stage, part, _: said.append((stage, part)))
    check_image(target)
    assert found["recipe"] == "import"
    assert found["session"]["command"] == "/etc/tcvs/session"
    assert stat.S_IMODE((target / "usr/bin/labwc").stat().st_mode) == 0o4755
    assert said[-1] == ("finish", 1.0)
    assert (system / "run/leftover").exists()  # the source is only read


@pytest.mark.parametrize("kind", ["", "gz", "bz2", "xz"])
def test_import_archive(system: Path, target: Path, tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "system.archive"
    with tarfile.open(archive, f"w:{kind}") as file:
        file.add(system, ".")
    import_tree(archive, target)
    check_image(target)


def test_import_of_an_image_keeps_its_session(system: Path, target: Path) -> None:
    (system / "etc/tcvs").mkdir()
    (system / "etc/tcvs/session").write_text("#!/bin/sh\n# theirs\n")
    import_tree(system, target)
    assert "theirs" in (target / "etc/tcvs/session").read_text()
    assert not (target / "etc/xdg/labwc").exists()


def test_import_drops_foreign_devices(system: Path, target: Path) -> None:
    os.mknod(system / "usr/bin/disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    import_tree(system, target)
    assert not (target / "usr/bin/disk").exists()


def test_import_cannot_write_outside(system: Path, target: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    archive = tmp_path / "hostile.tar"
    with tarfile.open(archive, "w") as file:
        file.add(system, ".")
        for name, link in (("out", str(victim)), ("home/up", "../../../victim")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            file.addfile(entry)
            inner = tarfile.TarInfo(f"{name}/written")
            inner.size = 4
            file.addfile(inner, io.BytesIO(b"evil"))
    with pytest.raises(ImageBuildFailed):
        import_tree(archive, target)
    assert list(victim.iterdir()) == []


def test_import_of_something_else(system: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(os.urandom(4096))
    with pytest.raises(ImageBuildFailed, match="cannot unpack") as caught:
        import_tree(tmp_path / "noise", target)
    assert caught.value.details["log"]
    with pytest.raises(NotAnImage, match="cannot read"):
        import_tree(tmp_path / "nothing", target)
    (system / "usr/bin/labwc").unlink()
    with pytest.raises(NotAnImage, match="labwc"):
        import_tree(system, target)


def test_import_without_passwd(target: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotAnImage, match="not the root of a Linux system"):
        import_tree(tmp_path / "empty", target)


def test_a_target_must_be_empty(system: Path, target: Path) -> None:
    (target / "file").touch()
    with pytest.raises(ImageBuildFailed, match="not empty"):
        import_tree(system, target)
    with pytest.raises(ImageBuildFailed, match="not empty"):
        build("mini", target)
    with pytest.raises(ImageBuildFailed, match="cannot use"):
        build("mini", target / "none")


class Interrupted(BaseException):
    """As KeyboardInterrupt, but nobody else's."""


def test_an_interrupted_build_leaves_no_process_and_no_mount(target: Path) -> None:
    def stop(stage: str, fraction: float, detail: str) -> None:
        if stage == "unpack":
            raise Interrupted

    with pytest.raises(Interrupted):
        build("mini", target, stop)
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(target) not in left.stdout
    assert str(target) not in Path("/proc/self/mountinfo").read_text()
