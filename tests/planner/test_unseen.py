"""Notebooks as people write them, and edits of each: never stale, and little is loaded again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import pytest

from tests.planner.differential import differing
from tests.planner.stage import Stage, Warm
from tests.planner.unseen import Edit, edits

NOTEBOOKS = {name: list(found) for name, found in groupby(edits(), lambda edit: edit.notebook)}


@pytest.fixture(scope="module")
def libraries() -> Iterator[Stage]:
    """Processes in which the libraries that load are stand-ins."""
    with Stage(standins=True, preload=("pydantic",)) as found:
        yield found


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_edits_of_a_notebook_leave_what_a_fresh_run_leaves_and_load_what_they_must(
    notebook: str, libraries: Stage
) -> None:
    with libraries.warm() as warm:
        found = {edit.about: _wrong(edit, libraries, warm) for edit in NOTEBOOKS[notebook]}
    assert {about: wrong for about, wrong in found.items() if wrong} == {}


def _wrong(edit: Edit, libraries: Stage, warm: Warm) -> str:
    """Return what is wrong after the edit of a worker that stands at the unedited notebook."""
    warm.sync(edit.before)
    seen, fresh = warm.sync(edit.after), libraries.fresh(edit.after)
    loads = sorted([*seen.loads, *seen.lazy])
    stale = differing(fresh, seen)
    if stale:
        return f"stale: {stale}"
    expected = sorted(edit.loads)
    return "" if loads == expected and not seen.restarts else f"loaded {loads}, not {expected}"
