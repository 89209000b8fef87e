"""The shape of the source: who imports whom, and what the library never does.

The rooms and the order are those of docs/ARCHITECTURE.md.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
LONGEST = 400

PLAIN = {"errors", "ids", "faults", "codec", "model"}
#: What each room of tcvs_core may import besides itself and plain data.
ROOMS: dict[str, set[str]] = {
    "plain": set(),
    "linux": set(),
    "store": {"linux"},
    "live": {"linux"},
    "history": {"linux", "store"},
    "capture": {"linux", "live"},
    "workspace": {"linux", "store", "live", "history", "capture"},
    "keeper": {"linux", "store", "live", "history", "capture", "workspace"},
}
#: The terminal shows, so it may print; only the library may not.
FORBIDDEN_NAMES = {"print", "input"}
FORBIDDEN_ATTRIBUTES = {
    ("os", "environ"),
    ("os", "environb"),
    ("os", "getenv"),
    ("os.path", "expanduser"),
    ("Path", "home"),
}


def sources(*folders: str, ending: str = ".py") -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (TOP / folder).rglob(f"*{ending}")
        if "__pycache__" not in path.parts
    )


def room_of(module: str) -> str:
    """Return the room of a dotted name in tcvs_core; "" for the package itself."""
    first = module.split(".")[1] if "." in module else ""
    return "plain" if first in PLAIN else first


def module_of(path: Path) -> str:
    parts = list(path.relative_to(TOP).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything imported, also inside functions."""
    package = path.relative_to(TOP).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def test_rooms_import_only_what_lies_below_them() -> None:
    wrong = []
    for path in sources("tcvs_core"):
        here = room_of(module_of(path))
        for line, name in imports(path):
            where = f"{path.relative_to(TOP)}:{line}"
            if name == "tcvs" or name.startswith("tcvs."):
                wrong.append(f"{where}: the library imports the terminal ({name})")
            if not name.startswith("tcvs_core.") or not here:
                continue
            there = room_of(name)
            if name.split(".")[1].startswith("__") or there in ("plain", here):
                continue
            if there not in ROOMS.get(here, set()):
                wrong.append(f"{where}: {here} imports {there} ({name})")
    assert not wrong, "\n".join(wrong)


def test_every_room_is_known() -> None:
    folders = {path.parent.name for path in (TOP / "tcvs_core").glob("*/__init__.py")}
    assert folders == set(ROOMS) - {"plain"}
    modules = {path.stem for path in (TOP / "tcvs_core").glob("*.py")} - {"__init__"}
    assert modules == PLAIN


def test_the_order_has_no_circle() -> None:
    done: set[str] = set()
    for room, below in ROOMS.items():  # written from the bottom to the top
        assert below <= done, room
        done.add(room)


def test_the_library_knows_no_terminal_environment_or_home() -> None:
    wrong = []
    for path in sources("tcvs_core"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                name = node.func.id if node.func.id in FORBIDDEN_NAMES else None
            elif isinstance(node, ast.Attribute):
                pair = (ast.unparse(node.value), node.attr)
                name = ".".join(pair) if pair in FORBIDDEN_ATTRIBUTES else None
            elif isinstance(node, ast.ImportFrom) and node.module in ("os", "os.path"):
                pairs = {(node.module, alias.name) for alias in node.names}
                name = str(pairs & FORBIDDEN_ATTRIBUTES) if pairs & FORBIDDEN_ATTRIBUTES else None
            if name:
                wrong.append(f"{path.relative_to(TOP)}:{getattr(node, 'lineno', 0)}: {name}")
    assert not wrong, "\n".join(wrong)


def test_the_order_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks above must see a violation, relative and inside a function, when there is one."""
    for room in [*ROOMS, "."]:
        if room != "plain":
            (tmp_path / "tcvs_core" / room).mkdir(parents=True, exist_ok=True)
            (tmp_path / "tcvs_core" / room / "__init__.py").touch()
    bad = tmp_path / "tcvs_core" / "store" / "bad.py"
    bad.write_text("def f():\n    from ..live import x\n    import os\n    os.environ['A']\n")
    monkeypatch.setitem(globals(), "TOP", tmp_path)
    with pytest.raises(AssertionError, match=r"bad\.py:2: store imports live"):
        test_rooms_import_only_what_lies_below_them()
    with pytest.raises(AssertionError, match=r"bad\.py:4: os\.environ"):
        test_the_library_knows_no_terminal_environment_or_home()


def test_files_are_short() -> None:
    folders = ("tcvs", "tcvs_core", "tests", "bench", "criu")
    files = [
        path for ending in (".py", ".c", ".h", ".sh") for path in sources(*folders, ending=ending)
    ]
    lengths = {path: len(path.read_bytes().splitlines()) for path in files}
    long = [f"{p.relative_to(TOP)}: {n} lines" for p, n in lengths.items() if n > LONGEST]
    assert not long, "\n".join(long)


def test_no_host_of_a_registry_and_no_machine_is_named() -> None:
    """Mirrors are the host's own business: the code asks apt and pip, and names none."""
    names = ["deb debian", "security debian", "registry npmjs", "debian net"]
    hosts = [*(name.replace(" ", ".") for name in names), "py" + "pi", "python" + "hosted"]
    pattern = re.compile("|".join([*map(re.escape, hosts), "/" + "scratch/", "/" + "work/main"]))
    wrong = []
    for name in tracked():
        path = TOP / name
        if not path.is_file() or path.suffix in (".png", ".jpg"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if found := pattern.search(line):
                wrong.append(f"{name}:{number}: {found[0]}")
    assert not wrong, "\n".join(wrong)


def tracked() -> list[str]:
    """Return the files of the project: those that Git tracks, or all where this is no checkout."""
    command = ["git", "-c", f"safe.directory={TOP}", "-C", str(TOP), "ls-files", "-z"]
    if (TOP / ".git").exists():
        done = subprocess.run(command, capture_output=True, check=True)
        return [name for name in done.stdout.decode().split("\0") if name]
    folders = ("tcvs", "tcvs_core", "tests", "bench", "criu", "docs")
    return [str(path.relative_to(TOP)) for path in sources(*folders, ending="")]
