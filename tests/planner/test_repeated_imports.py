"""Imports that stand twice: one of them goes, and nothing is loaded again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.planner.differential import there_and_back
from tests.planner.stage import Stage
from tests.planner.version import Version

_START = "import runpod; runpod.serverless.start({'handler': handler})"
_LOAD = "import modelkit\nimport time\nm = modelkit.LOAD(time is not None)"
_BINDS = "def handler(job):\n    global time\n    x, time = str(time)[:9], 1\n    return x"
_HANDLER = "def handler(job): return repr(m), time.__name__, job"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


def versions(*texts: str) -> list[Version]:
    return [Version((text, _START), {}, (1,)) for text in texts]


@pytest.mark.parametrize("again", ["import time", "import time, json", "import json\nimport time"])
def test_import_that_is_repeated_goes_and_nothing_is_loaded_again(stage: Stage, again: str) -> None:
    both = versions(f"{_LOAD}\n{again}\n{_HANDLER}", f"{_LOAD}\n{_HANDLER}")
    assert not there_and_back(stage, *both)
    with stage.warm() as warm:
        assert [len(warm.sync(each).loads) for each in both] == [1, 0]


@pytest.mark.parametrize(
    "again",
    [
        "from pathlib import Path",
        "from pathlib import Path\nS = str(Path('a'))",
        "from json import loads\nfrom pathlib import PurePath, Path\nS = (Path('a') / 'b').name",
    ],
)
def test_part_that_is_imported_again_goes_and_nothing_is_loaded(stage: Stage, again: str) -> None:
    load = "from pathlib import Path\nimport modelkit\nm = modelkit.LOAD(Path('a').name)"
    handler = "def handler(job): return repr(m), Path('b').name, job"
    both = versions(f"{load}\n{again}\n{handler}", f"{load}\n{handler}")
    assert not there_and_back(stage, *both)
    with stage.warm() as warm:
        assert [len(warm.sync(each).loads) for each in both] == [1, 0]


# Text before and after, of which an import that stands twice is not all that binds its name.
OTHERWISE = {
    "the first one goes": (
        f"{_LOAD}\nimport time\n{_HANDLER}",
        f"{_LOAD.replace('import time', '')}\nimport time\n{_HANDLER}",
    ),
    "both go": (f"{_LOAD}\nimport time\n{_HANDLER}", f"import modelkit\nm = 1\n{_HANDLER}"),
    "another value came between": (
        f"import time\ntime = print\nimport time\n{_LOAD}\n{_HANDLER}",
        f"import time\ntime = print\nimport modelkit\nm = 1\n{_HANDLER}",
    ),
    "a call bound it between": (
        "import time\nexec('time = print')\nimport time\ndef handler(job): return time.__name__",
        "import time\nexec('time = print')\ndef handler(job): return time.__name__",
    ),
    "a name for it came between": (
        "import json as time\nimport time\nimport json as time\n"
        "def handler(job): return time.__name__",
        "import json as time\nimport time\ndef handler(job): return time.__name__",
    ),
    "a part of it was stored": (
        "import time\ntime.MINE = 1\nimport time\ndef handler(job): return time.MINE",
        "import time\ntime.MINE = 1\ndef handler(job): return time.MINE",
    ),
    "a handler binds it": (
        f"import time\nimport time\n{_BINDS}",
        f"import time\n{_BINDS}",
    ),
    "a part is another by now": (
        "import textwrap\nfrom textwrap import dedent\ntextwrap.dedent = repr\n"
        "from textwrap import dedent\ndef handler(job): return dedent('a')",
        "import textwrap\nfrom textwrap import dedent\ntextwrap.dedent = repr\n"
        "def handler(job): return dedent('a')",
    ),
    "a part becomes another later": (
        "import textwrap as t\nfrom textwrap import dedent\nfrom textwrap import dedent\n"
        "t.dedent = repr\ndef handler(job): return dedent('a')",
        "import textwrap as t\nfrom textwrap import dedent\nt.dedent = repr\n"
        "def handler(job): return dedent('a')",
    ),
    "a part is imported before and after it becomes another": (
        "import textwrap\nfrom textwrap import dedent as f\ntextwrap.dedent = repr\n"
        "def handler(job): return f('a')",
        "import textwrap\ntextwrap.dedent = repr\nfrom textwrap import dedent as f\n"
        "def handler(job): return f('a')",
    ),
    "a part was another by then": (
        "import textwrap\nfrom textwrap import dedent\ntextwrap.dedent = repr\n"
        "from textwrap import dedent\ndef handler(job): return dedent('a')",
        "import textwrap\nfrom textwrap import dedent\ndef handler(job): return dedent('a')",
    ),
    "a part between them": (
        "from json import dumps as f\nfrom json import loads as f\nfrom json import dumps as f\n"
        "def handler(job): return f.__name__",
        "from json import dumps as f\nfrom json import loads as f\n"
        "def handler(job): return f.__name__",
    ),
    "it stands in a block": (
        "import time\nif True:\n    import time\ndef handler(job): return time.__name__",
        "import time\ndef handler(job): return time.__name__",
    ),
    "it is deleted between": (
        "import time\ndel time\nimport time\ndef handler(job): return time.__name__",
        "import time\ndel time\ndef handler(job): return time.__name__",
    ),
}  # fmt: skip


@pytest.mark.parametrize("about", OTHERWISE)
def test_import_whose_name_others_bind_is_as_in_a_fresh_process(stage: Stage, about: str) -> None:
    assert not there_and_back(stage, *versions(*OTHERWISE[about]))


def test_local_module_that_is_imported_twice_is_as_in_a_fresh_process(stage: Stage) -> None:
    files = {"lm.py": b"import random\nN = 1"}
    text = "import lm\nlm.N += 1\nimport lm\ndef handler(job): return lm.N"
    old = Version((text, _START), files, (1,))
    new = Version((text.replace("+= 1\nimport lm", "+= 1"), _START), files, (1,))
    assert not there_and_back(stage, old, new)
