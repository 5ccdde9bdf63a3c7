"""Local modules that change on disk between runs: warm equals fresh."""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path
from typing import Collection

import pytest

from rpnb.planner.plan import closures
from tests.planner.portrait import Portrait
from tests.planner.warm import Fresh, Probes, Warm

_IMPORTS = {"helper": {"sub"}, "sub": set(), "pkg": {"sub"}}


class Modules(Probes):
    """A folder of local modules, as a worker's `app/` is one."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder, self._versions = folder, dict.fromkeys(_IMPORTS, 0)
        (folder / "pkg").mkdir()
        for name in _IMPORTS:
            self.edit(name)

    def edit(self, name: str) -> None:
        """Write the module's next version."""
        self._versions[name] += 1
        n = self._versions[name]
        texts = {
            "sub.py": f"N = {n}\nSEEN = []\ndef f(v):\n    SEEN.append(v)\n    return v, N",
            "helper.py": f"import sub\nfrom sub import N\ndef g(v):\n    return sub.f(v), N, {n}",
            "pkg/__init__.py": f"from .part import h\nM = {n}",
            "pkg/part.py": f"import sub\ndef h(v):\n    return sub.N, {n}",
        }
        for path, text in texts.items():
            if path.startswith(name):
                (self._folder / path).write_text(text)
        importlib.invalidate_caches()

    def modules(self) -> dict[str, str]:
        """Return a hash for each local module that covers what it imports."""
        return closures({n: str(v) for n, v in self._versions.items()}, _IMPORTS)

    def purge(self, names: Collection[str] | None) -> None:
        """Forget these modules, and what they import."""
        wanted = set(_IMPORTS) if names is None else set(names)
        wanted |= {found for name in wanted for found in _IMPORTS[name]}
        for name in list(sys.modules):
            if name.split(".")[0] in wanted:
                del sys.modules[name]


_STEPS = [
    "import helper",
    "import sub",
    "from pkg import h",
    "import pkg.part as part",
    "x = helper.g(1)",
    "y = h(2)",
    "z = (sub.N, part.h(3))",
    "from helper import g",
    "w = g(4)",
    "def handler(v):\n    from sub import N\n    return N, helper.g(v)",
    "data = [1]",
]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Modules:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    found = Modules(tmp_path)
    found.purge(None)
    return found


@pytest.mark.parametrize("seed", range(25))
def test_edited_modules_leave_what_a_fresh_process_has(modules: Modules, seed: int) -> None:
    rng, kept = random.Random(seed), list(_STEPS)
    warm, fresh = Warm(modules), Fresh(modules)
    for _ in range(6):
        held = {n: m for n, m in sys.modules.items() if n.split(".")[0] in _IMPORTS}
        assert fresh.sync("\n".join(kept)) is None
        expected = Portrait(fresh.namespace).draw(), fresh.namespace["handler"](5)
        modules.purge(None)
        sys.modules.update(held)
        assert warm.sync("\n".join(kept)) is None
        assert (Portrait(warm.namespace).draw(), warm.namespace["handler"](5)) == expected
        modules.edit(rng.choice(sorted(_IMPORTS)))
        if rng.random() < 0.3:
            kept[-1] = f"data = [{rng.randrange(9)}]"


def test_step_without_the_edited_module_stays_warm(modules: Modules) -> None:
    warm = Warm(modules)
    warm.sync("import helper\nimport pkg\nx = helper.g(1)\ny = [pkg.M]")
    modules.edit("helper")
    warm.sync("import helper\nimport pkg\nx = helper.g(1)\ny = [pkg.M]")
    assert warm.ran == ["import helper", "x = helper.g(1)"]
