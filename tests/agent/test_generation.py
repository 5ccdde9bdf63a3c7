"""The worker's states, and what it is born with."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.agent.directory import RunDirectory, Settings
from rpnb.agent.generation import TRANSITIONS, Generation, State, environment
from rpnb.errors import AgentError

EVENTS = ["start", "ready", "take", "end", "die"]


@pytest.fixture(scope="module")
def generation(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return Generation(RunDirectory(home / "run" / "w"), home / "agent.pyz")


@given(walk=st.lists(st.sampled_from(EVENTS), max_size=12))
def test_states_follow_the_table_and_refuse_the_rest(generation, walk):
    generation.state = State.GONE
    for event in walk:
        before = generation.state
        if event in TRANSITIONS[before]:
            generation.move(event)
            assert generation.state is TRANSITIONS[before][event]
        else:
            with pytest.raises(AgentError, match=f"{event!r} of a worker that is {before.value}"):
                generation.move(event)
            assert generation.state is before


def test_every_state_that_lives_can_die():
    assert all("die" in TRANSITIONS[state] for state in State if state is not State.GONE)


def test_environment_leaves_out_the_pods_own_variables(monkeypatch):
    monkeypatch.setenv("RUNPOD_API_KEY", "secret")
    monkeypatch.setenv("KEPT", "yes")
    settings = Settings("python", env={"RUNPOD_POD_ID": "asked for"})
    found = environment(settings)
    assert "RUNPOD_API_KEY" not in found
    assert found["KEPT"] == "yes" and found["RUNPOD_POD_ID"] == "asked for"


def test_worker_counts_as_alive_from_the_moment_its_keeper_is_started(tmp_path):
    """A relay killed just then would leave it to the next one, which must not start another."""
    directory, agent = RunDirectory(tmp_path / "run" / "w"), tmp_path / "agent.py"
    directory.create()
    directory.write_settings(Settings(sys.executable))
    agent.write_text("import time; time.sleep(60)")
    generation = Generation(directory, agent)
    generation.start()
    try:
        assert Generation(directory, agent).state is State.STARTING
    finally:
        generation._keeper.kill()
        generation._keeper.wait()
    assert Generation(directory, agent).state is State.GONE
