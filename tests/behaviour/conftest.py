"""A session on each target; every test starts with an empty program."""

from __future__ import annotations

import sys

import pytest

import rpnb


@pytest.fixture
def session(target):
    session = rpnb.connect(target.text, name="behaviour", python=sys.executable)
    yield session
    session.stop()
