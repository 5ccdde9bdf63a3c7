"""What import-linter cannot say about rpnb's rooms.

The rules read the source and import nothing, so they also hold for code that
only runs on the target.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rpnb"

BELOW = {"errors", "protocol", "planner", "program", "transport"}

# A room is a folder or a module directly below the package.  It may import
# itself and the rooms named here, nothing else of rpnb.
MAY_IMPORT = {
    "errors": set(),
    "protocol": {"errors"},
    "planner": {"errors"},
    "agent": {"errors", "planner", "protocol"},
    "program": {"errors", "planner", "protocol"},
    "transport": {"errors", "protocol"},
    # It packages the agent's files and imports none of them.
    "session": BELOW,
    "export": {"errors", "program", "session"},
    # All that lie below them, and not each other.
    "jupyter": BELOW | {"session", "export"},
    "cli": BELOW | {"session", "export"},
}
TRAVELS = {"errors", "planner", "protocol", "agent"}  # in the zipapp: standard library only
WORKER_ALSO = {"runpod", "cloudpickle"}  # and only inside agent/worker*.py and agent/runner*.py
PURE = {"protocol", "planner"}
NO_IO = {"asyncio", "os", "select", "selectors", "socket", "ssl", "subprocess", "threading", "time"}
HEAVY = {"paramiko", "ipywidgets", "anywidget", "runpod", "IPython", "nbclient", "libcst"}


def imports(path):
    """Yield (line, dotted name) for every import in a file, lazy ones too."""
    package = (PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            stem = [*parents, *filter(None, [node.module])]
            for alias in node.names:
                yield node.lineno, ".".join([*stem, alias.name])


def room_imports(room):
    folder = PACKAGE / room
    for path in sorted(folder.rglob("*.py")) or [folder.with_suffix(".py")]:
        for line, name in imports(path):
            yield path.relative_to(PACKAGE), line, name.split(".")


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_room_imports_only_the_rooms_below_it(room):
    wrong = [
        f"{path}:{line} imports {'.'.join(name)}"
        for path, line, name in room_imports(room)
        if name[0] == PACKAGE.name
        and name[1:]
        and name[1] not in MAY_IMPORT[room] | {room, "__version__"}
    ]
    assert wrong == []


@pytest.mark.parametrize("room", sorted(TRAVELS))
def test_room_that_travels_needs_only_the_standard_library(room):
    known = sys.stdlib_module_names | {PACKAGE.name}
    wrong = [
        f"{path}:{line} imports {name[0]}"
        for path, line, name in room_imports(room)
        if name[0] not in known
        and not (path.stem.startswith(("worker", "runner")) and name[0] in WORKER_ALSO)
    ]
    assert wrong == []


@pytest.mark.parametrize("room", sorted(PURE))
def test_pure_room_does_no_io(room):
    wrong = [f"{p}:{n} imports {m[0]}" for p, n, m in room_imports(room) if m[0] in NO_IO]
    assert wrong == []


@pytest.mark.parametrize("room", sorted(TRAVELS))
def test_room_that_travels_never_says_its_own_name(room):
    """In the zipapp the package is `_rpnb`: only relative imports find it."""
    folder = PACKAGE / room
    paths = sorted(folder.rglob("*.py")) or [folder.with_suffix(".py")]
    trees = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]
    wrong = [
        f"{path.name}:{node.lineno}"
        for path, tree in trees
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and not node.level and node.module.startswith("rpnb"))
        or (isinstance(node, ast.Import) and any(a.name.startswith("rpnb") for a in node.names))
    ]
    assert wrong == []


def test_every_room_has_a_rule():
    rooms = {
        p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()
    }
    assert rooms - {"__init__", "__main__", "_version"} == set(MAY_IMPORT)


def test_importing_rpnb_loads_nothing_heavy():
    code = f"import sys, {PACKAGE.name}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_loading_the_extension_imports_only_what_each_cell_needs():
    """What only a connection, a drawing or a program needs comes with the first of them."""
    code = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell, before = InteractiveShell.instance(), set(sys.modules)\n"
        f"import {PACKAGE.name}\n"
        f"shell.run_line_magic('load_ext', {PACKAGE.name!r})\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = set(run.stdout.split())
    own = {name for name in added if name.split(".")[0] == PACKAGE.name}
    assert added - own <= {"IPython.core.magics.extension"}
    rooms = {name for name in own if not name.startswith(f"{PACKAGE.name}.jupyter")}
    assert rooms <= {
        PACKAGE.name,
        *(f"{PACKAGE.name}.{each}" for each in ("errors", "session", "session.state")),
    }
