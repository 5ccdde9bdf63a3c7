"""What is left behind is removed when it is old; what is in use never is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from rpnb.agent import caches
from rpnb.agent.caches import collect
from rpnb.agent.directory import RunDirectory, Settings, hold
from rpnb.agent.uploads import Uploads

DAY = 86_400
DIGESTS = [letter * 64 for letter in "abcd"]


def aged(path, days):
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def value(root, digest, days, size=10):
    path = root / "values" / digest
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    return aged(path, days)


@pytest.fixture
def worker(tmp_path):
    worker = RunDirectory(tmp_path / "run" / "w")
    worker.create()
    return worker


def test_value_unused_for_long_is_removed_and_a_recent_one_stays(tmp_path, worker):
    old, recent = value(tmp_path, DIGESTS[0], 8), value(tmp_path, DIGESTS[1], 6)
    collect(tmp_path)
    assert not old.exists() and recent.exists()


def test_what_is_not_rpnbs_stays_however_old_it_is(tmp_path, worker):
    """RPNB_HOME may be a folder of a person's own, with a `run` of their own in it."""
    theirs = [tmp_path / "run" / "experiment-1", tmp_path / "values", tmp_path / "overlay" / "css"]
    for folder in theirs:
        folder.mkdir(parents=True, exist_ok=True)
        aged(_touched(folder / "notes.txt"), 400)
        aged(folder, 400)
    collect(tmp_path)
    assert all((folder / "notes.txt").exists() for folder in theirs)


def test_value_that_a_program_names_stays_whatever_its_age(tmp_path, worker):
    old = value(tmp_path, DIGESTS[0], 400)
    worker.write_program({"text": "", "files": {"data/x": [DIGESTS[0], 10]}})
    collect(tmp_path)
    assert old.exists()


def test_value_that_is_asked_for_again_counts_as_used(tmp_path, worker):
    old = value(tmp_path, DIGESTS[0], 8)
    assert Uploads(tmp_path / "values").missing({"x": [DIGESTS[0], 10]}) == {}
    collect(tmp_path)
    assert old.exists()


def test_too_many_values_lose_the_one_unused_for_longest(tmp_path, worker, monkeypatch):
    monkeypatch.setattr(caches, "_VALUES_BYTES", 250)
    paths = [value(tmp_path, each, days, 100) for each, days in zip(DIGESTS, (3, 5, 4, 0))]  # noqa: B905
    collect(tmp_path)
    # The last one came a moment ago: a request may wait for it.
    assert [path.exists() for path in paths] == [True, False, False, True]


def test_folder_of_a_worker_that_ended_long_ago_is_removed(tmp_path, worker):
    for path in (worker.out, worker.err, worker.version, worker.path):
        aged(path, 8)
    collect(tmp_path)
    assert not worker.path.exists()


def test_folder_of_a_worker_that_lives_stays(tmp_path, worker):
    held = hold(worker.lock)
    for path in (worker.out, worker.err, worker.path):
        aged(path, 400)
    collect(tmp_path)
    os.close(held)
    assert worker.path.exists()


def test_agents_and_overlays_go_unless_settings_or_a_process_name_them(tmp_path, worker):
    agent = aged(_touched(tmp_path / "agent-old.pyz"), 31)
    sites = [tmp_path / "overlay" / name for name in ("old", "used")]
    for site in sites:
        site.mkdir(parents=True)
        (site / caches.OVERLAY_RECORD).touch()
        aged(site, 31)
    worker.write_settings(Settings("python", path=[str(sites[1])]))
    held = hold(worker.lock)
    worker.pids.write_text(json.dumps({"worker": os.getpid(), "since": time.time()}))
    collect(tmp_path)
    os.close(held)
    assert [site.exists() for site in sites] == [False, True]
    assert not agent.exists()


def test_agent_of_a_process_that_runs_stays(tmp_path, worker):
    agent = aged(_touched(tmp_path / "agent-runs.pyz"), 31)
    held = hold(worker.lock)
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True), input()", agent],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as keeper:
        keeper.stdout.readline()  # the kernel shows a command line only once it has laid it out
        worker.pids.write_text(json.dumps({"keeper": keeper.pid, "since": time.time()}))
        collect(tmp_path)
        keeper.communicate(b"\n")
    os.close(held)
    assert agent.exists()


def _touched(path):
    path.touch()
    return path
