"""The export's memory is kept in each test's own folder."""

import pytest


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """The folder that stands for ~/.local/state."""
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path):
    """An empty folder to export into."""
    place = tmp_path / "project"
    place.mkdir()
    return place
