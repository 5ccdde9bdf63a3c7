"""verify: recorded jobs again, in a fresh process beside the session's own."""

import pytest

from rpnb.errors import RemoteError
from rpnb.export.verify import verify
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names
from rpnb.session import bootstrap
from rpnb.session.session import connect
from rpnb.session.updates import Finished
from rpnb.transport import open_transport

pytestmark = pytest.mark.timeout(120)

COUNTING = """\
import os

served = 0


def handler(job):
    global served
    served += 1
    if job["input"] == "die":
        os._exit(3)
    return {"echo": job["input"], "served": served if job["input"] == "count" else 0}
"""


def program(text):
    return build([Cell("c1", "handler", "", "cell 1", text, 2)], Names({}))


def recorded(session, made, *inputs):
    """The results of these inputs, run one after the other on the session."""
    found = []
    for number, value in enumerate(inputs):
        job = {"id": f"j{number}", "input": value}
        updates = list(session.submit(made, job=job))
        found += [(job, each.result) for each in updates if isinstance(each, Finished)]
    return found


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session of its own on `local`, whose worker is stopped at the end."""
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "home"))
    with connect("local", name="demo") as opened:
        yield opened
        opened.stop()


def test_verify_of_equal_results_proves_and_measures_the_cold_start(session):
    made = program(COUNTING)
    proof = verify(session, made, recorded(session, made, "a", {"b": [1]}))
    assert (proof.equal, proof.total, proof.differences) == (2, 2, ())
    assert proof.proved
    assert proof.cold_start_seconds > 0
    assert proof.summary.startswith("verified: 2 of 2 recorded jobs equal in a fresh process")


def test_verify_names_job_and_place_of_what_a_warm_worker_hid(session):
    made = program(COUNTING)
    warm = recorded(session, made, "a", "count")
    proof = verify(session, made, warm[1:])
    assert proof.differences == (
        "job j1: output.served: 2, then 1",
        "state that differs: served",
    )
    assert not proof.proved


def test_verify_goes_on_after_a_job_that_kills_its_worker(session):
    made = program(COUNTING)
    jobs = recorded(session, made, "a", "b")
    killing = ({**jobs[0][0], "input": "die"}, jobs[0][1])
    proof = verify(session, made, [killing, jobs[1]])
    assert (proof.equal, proof.total) == (1, 2)
    assert proof.differences[0].startswith('job j0: status: "COMPLETED", then "FAILED"')


def test_verify_leaves_the_warm_worker_and_no_other(session):
    made = program(COUNTING)
    verify(session, made, recorded(session, made, "a"))
    workers = bootstrap.census(open_transport("local"))["workers"]
    alive = [each["worker"] for each in workers if each["alive"]]
    assert alive == ["demo"]
    assert recorded(session, made, "count")[0][1].output["served"] == 2


def test_verify_does_not_trust_a_worker_left_over_from_before(session):
    made = program(COUNTING)
    jobs = recorded(session, made, "count")
    with connect("local", name="demo#verify") as left_over:
        recorded(left_over, made, "a", "a")
    assert verify(session, made, jobs).proved


def test_verify_of_a_step_that_fails_in_a_fresh_process_names_it(session, tmp_path):
    flag = tmp_path / "once"
    made = program(
        f"import pathlib\npathlib.Path({str(flag)!r}).touch(exist_ok=False)\n" + COUNTING
    )
    jobs = recorded(session, made, "a")
    with pytest.raises(RemoteError, match=r"in a fresh process .*FileExistsError.*cell 1, line 3"):
        verify(session, made, jobs)


def test_verify_of_nothing_proves_nothing(session):
    assert not verify(session, program(COUNTING), []).proved
