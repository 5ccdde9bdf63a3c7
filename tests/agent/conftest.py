"""An agent for one test; no process of it outlives the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.agents import Agent, Peer


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """An agent whose worker is the stand-in; not started yet."""
    agent = Agent(tmp_path / "home")
    yield agent
    agent.end()


@pytest.fixture
def peer(agent: Agent) -> Peer:
    """The driver of a started agent whose worker is ready."""
    agent.start()
    peer = Peer(agent)
    peer.wait_ready()
    return peer
