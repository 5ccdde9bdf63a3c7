"""What a client knows of the worker's jobs."""

import pytest

from rpnb.protocol.messages import Event
from rpnb.session.history import History

OLD = {"request": "aaaa11", "job": {"id": "j1"}, "status": "COMPLETED", "at": 5.0}


def event(kind, at=10.0, request="bbbb22", **body):
    return Event(1, at, 0, 0, request, kind, body)


def begun(history):
    history.see(event("job", job={"id": "j2"}))
    return history


def told(history):
    return [(job.name, job.id, job.status) for job in history.jobs]


def test_jobs_of_a_welcome_are_known():
    history = History()
    history.meet([OLD, {"request": "set-up", "job": None, "status": "COMPLETED", "at": 1.0}])
    assert told(history) == [("aaaa", "j1", "COMPLETED")]


def test_job_of_anybody_is_followed_to_its_end():
    history = begun(History())
    assert told(history) == [("bbbb", "j2", "IN_PROGRESS")]
    history.see(event("finished", job="j2", status="COMPLETED"))
    history.see(event("done"))
    assert told(history) == [("bbbb", "j2", "COMPLETED")]


@pytest.mark.parametrize(("phase", "status"), [("cancelled", "CANCELLED"), ("worker", "FAILED")])
def test_job_whose_request_failed_has_ended(phase, status):
    history = begun(History())
    history.see(event("failed", phase=phase))
    assert told(history) == [("bbbb", "j2", status)]


def test_jobs_come_in_the_order_in_which_they_began():
    history = begun(History())
    history.meet([OLD])
    assert [job.name for job in history.jobs] == ["aaaa", "bbbb"]


def test_many_jobs_are_not_all_kept():
    history = History()
    for number in range(150):
        history.see(event("job", at=number, request=f"{number}-r", job={"id": "j"}))
    assert len(history.jobs) == 100
    assert history.jobs[-1].request == "149-r"


@pytest.mark.parametrize("odd", [None, 3, {}, {"job": 3}, {"job": {}, "at": "x"}])
def test_welcome_of_a_strange_agent_breaks_nothing(odd):
    History().meet([odd])
