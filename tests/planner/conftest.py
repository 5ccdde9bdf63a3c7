"""A stage for the tests of a file: what it forks, ends with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.planner.stage import Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Processes that run programs, fresh and warm."""
    with Stage() as found:
        yield found
