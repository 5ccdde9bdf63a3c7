"""Cancelling, timing out, adopting, and who may drive."""

import threading
import time

import pytest

import rpnb
from rpnb.errors import AgentError
from rpnb.session.updates import JobStarted
from tests.behaviour.cells import Seen, job, program, run

SLEEPY = {
    "sync": "import time\n\ndef handler(job):\n    time.sleep(60)",
    "async": "import asyncio\n\nasync def handler(job):\n    await asyncio.sleep(60)",
    "generator": "import time\n\ndef handler(job):\n    yield 1\n    time.sleep(60)",
}
PID = "def handler(job):\n    return [os.getpid(), id(model)]"


def cancelled(session, made):
    """Cancel the job once it has begun; return what was seen and the seconds it took."""
    seen, began = Seen(), None
    running = session.submit(made, job=job())
    for update in running:
        seen.append(update)
        if isinstance(update, JobStarted):
            began = time.monotonic()
            running.cancel()
    return seen, time.monotonic() - began


@pytest.mark.parametrize("kind", SLEEPY)
def test_cancelled_job_ends_soon_and_the_model_is_kept(session, kind):
    setup = "import os\nmodel = object()"
    before = run(session, program(setup, handler=PID)).result.output
    seen, seconds = cancelled(session, program(setup, handler=SLEEPY[kind]))
    assert seen.result.status == "CANCELLED"
    # Not by the end of its worker, 3 s after the cancel: the model would be another one.
    assert seconds < 50
    assert run(session, program(setup, handler=PID)).result.output == before


def test_handler_that_swallows_every_exception_is_killed_after_the_grace_time(session):
    """Slow: the grace time has to pass."""
    stubborn = """
        import time

        def handler(job):
            end = time.time() + 60
            while time.time() < end:
                try:
                    time.sleep(60)
                except BaseException:
                    pass
    """
    seen, _ = cancelled(session, program(handler=stubborn))
    assert seen.result.status == "CANCELLED"
    assert run(session, program(handler="def handler(job):\n    return 1")).result.ok


def test_job_over_its_time_is_cancelled_and_says_so(session):
    seen = run(session, program(handler=SLEEPY["sync"]), timeout=0.5)
    assert seen.result.status != "COMPLETED"
    assert "0.5 s" in seen.result.problem


def test_leaving_the_loop_of_a_stream_cancels_the_job(session):
    text = "import time\n\ndef handler(job):\n    yield 1\n    time.sleep(60)\n"
    namespace = {}
    exec(text, namespace)
    began = time.monotonic()
    for chunk in session.stream({}, handler=namespace["handler"]):
        assert chunk == 1
        break
    assert time.monotonic() - began < 50


def test_second_connection_adopts_program_and_model(session, target):
    import sys

    made = program("import os\nmodel = object()", handler=PID)
    before = run(session, made).result.output
    session.close()
    again = rpnb.connect(target.text, name="behaviour", python=sys.executable)
    try:
        assert again.adopted.text == made.text
        assert run(again, made).result.output == before
    finally:
        again.close()
        session.open()


def test_requests_are_taken_one_after_another(session):
    made = program(
        "import time\norder = []",
        handler="""
            def handler(job):
                order.append(job["input"])
                time.sleep(0.05)
                return list(order)
        """,
    )
    run(session, made, 0)
    runs = [session.submit(None, job=job(number)) for number in (1, 2, 3)]
    outputs = [Seen(each).result.output for each in runs]
    assert outputs == [[0, 1], [0, 1, 2], [0, 1, 2, 3]]


def test_flood_of_output_arrives_whole_and_in_order(session):
    made = program(handler="def handler(job):\n    for n in range(50000):\n        print(n)")
    seen = run(session, made)
    assert seen.result.logs == "".join(f"{n}\n" for n in range(50000))


def test_second_client_may_not_drive(session, target):
    import sys

    from rpnb.session.session import Options, Session
    from rpnb.transport import targets

    other = Session(
        targets.parse(target.text), "behaviour", "somebody else", Options(python=sys.executable)
    )
    other.open()
    try:
        with pytest.raises(AgentError, match="driv"):
            run(other, program(handler="def handler(job):\n    return 1"))
    finally:
        other.close()


def test_interrupt_cancels_the_job_and_keeps_the_model(session):
    import _thread

    made = program("model = object()", handler=SLEEPY["sync"])
    running = session.submit(made, job=job())
    seen = Seen()
    with pytest.raises(KeyboardInterrupt):
        for update in running.watched():
            seen.append(update)
            if isinstance(update, JobStarted):
                threading.Timer(0.5, _thread.interrupt_main).start()
    assert seen.result.status == "CANCELLED"
    kept = run(session, program("model = object()", handler="def handler(job):\n    return 1"))
    assert "model" not in kept.ran
