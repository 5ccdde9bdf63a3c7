"""A session on each target, one for all tests of a file: each begins with an empty program."""

from __future__ import annotations

import sys

import pytest

import rpnb
from tests.conftest import TARGETS, place


@pytest.fixture(scope="module", params=TARGETS)
def target(request, tmp_path_factory):
    with place(request, tmp_path_factory.mktemp("behaviour") / "rpnb") as found:
        yield found


@pytest.fixture(scope="module")
def _session(target):
    session = rpnb.connect(target.text, name="behaviour", python=sys.executable)
    yield session
    session.stop()


@pytest.fixture
def session(_session):
    _session.clear()
    return _session
