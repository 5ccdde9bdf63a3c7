"""rpnb run: jobs in one warm worker, what production would post, and the exit code."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.books import HANDLER, book
from tests.cli.shell import results, rpnb

FILE = """\
import os
import time

import runpod
from words import GREETING

served = 0
print("loading")


def handler(job):
    global served
    served += 1
    given = job["input"]
    print("serving", given, flush=True)
    if given == "die":
        os._exit(7)
    if given == "raise":
        raise KeyError("prompt")
    if given == "error":
        return {"error": ["no", "way"]}
    if given == "bytes":
        return {"x": b""}
    if given == "sleep":
        time.sleep(60)
    return {"said": f"{GREETING} {given}", "served": served}


runpod.serverless.start({"handler": handler})
"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def handler(tmp_path):
    """A handler file with a module beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "words.py").write_text('GREETING = "hello"\n')
    (folder / "handler.py").write_text(FILE)
    return folder / "handler.py"


# What the way to the target has no part in.
here = pytest.mark.parametrize("target", ["local"], indirect=True)


def run(path, target, *typed, options=()):
    given = [part for each in typed for part in ("--input", each)]
    return rpnb("run", path, *given, "--target", target.text, "--json", *options)


def test_run_of_a_handler_file_prints_what_production_would_post(handler, target):
    done = run(handler, target, '"you"', '{"input": "me", "id": "job-7"}')
    first, second = results(done)
    assert done.returncode == 0, done.stderr
    assert (first["status"], first["output"]) == ("COMPLETED", {"said": "hello you", "served": 1})
    assert (second["id"], second["output"]["served"]) == ("job-7", 2)
    assert {"stream", "progress", "metrics"} <= set(first)


@here
def test_run_goes_on_after_a_job_that_killed_the_worker(handler, target):
    done = run(handler, target, '"a"', '"die"', '"b"')
    first, died, last = results(done)
    assert done.returncode == 1
    assert (died["status"], "exit code 7" in died["problem"]) == ("FAILED", True)
    assert (first["output"]["served"], last["output"]["served"]) == (1, 1)


@here
def test_run_fails_as_production_does(handler, target):
    done = run(handler, target, '"error"', '"raise"', '"bytes"')
    listed, raised, lost = results(done)
    assert done.returncode == 1
    assert listed["error"] == ["no", "way"]
    assert "KeyError" in raised["error"]
    assert "output" not in lost
    assert "bytes" in lost["problem"]


@here
def test_run_sends_logs_to_stderr(handler, target):
    done = run(handler, target, '"you"')
    assert "serving you" in done.stderr
    assert len(done.stdout.splitlines()) == 1


@here
def test_run_uses_the_test_input_beside_the_file(handler, target):
    (handler.parent / "test_input.json").write_text('{"input": "file"}')
    assert results(run(handler, target))[0]["output"]["said"] == "hello file"


@here
def test_run_ends_a_job_that_takes_too_long(handler, target):
    # Each of them has half a second, in which a busy machine may stand still.
    done = run(handler, target, '"sleep"', *['"next"'] * 5, options=["--timeout", "0.5"])
    late, *following = results(done)
    assert done.returncode == 1
    assert late["status"] != "COMPLETED"
    assert "timed out" in late["problem"]
    assert "COMPLETED" in [each["status"] for each in following]


def asleep(handler, target):
    """Return a run whose job has begun and does not end by itself."""
    command = [sys.executable, "-m", "rpnb", "run", str(handler), "--input", '"sleep"']
    process = subprocess.Popen(
        [*command, "--target", target.text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    for line in process.stderr:
        if line.startswith("serving"):
            break
    return process


@here
def test_second_run_of_one_file_leaves_the_first_ones_job_alone(handler, target):
    first = asleep(handler, target)
    second = run(handler, target, '"you"')
    assert second.returncode != 0 and "drives the worker" in second.stderr
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 130 and "cancelled" in said


def test_run_interrupted_cancels_the_job_and_is_no_traceback(handler, target):
    process = asleep(handler, target)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - began < 50
    assert "cancelled" in said
    assert "Traceback" not in said


def test_run_of_a_notebook_uses_its_test_and_names_its_cells(tmp_path, target):
    path = book(
        tmp_path / "n.ipynb",
        "FACTOR = 3",
        "%%runpod_test t\n[{'n': 2}, {}]",
        "%%runpod_setup\nimport math",
        '%%runpod_handler\ndef handler(job):\n    return job["input"]["n"] * FACTOR',
    )
    done = rpnb("run", path, "--target", target.text)
    assert done.returncode == 1
    assert done.stdout == "6\n"
    assert "KeyError: 'n' — cell 4, line 3" in done.stderr


@here
def test_run_where_set_up_raises_fails_every_job_and_names_the_cell(tmp_path, target):
    path = book(tmp_path / "n.ipynb", "%%runpod_setup\na = 1\nb = a / 0", HANDLER)
    done = run(path, target, "1", "2")
    assert done.returncode == 1
    problems = [each["problem"] for each in results(done)]
    assert len(problems) == 2
    assert all(text.startswith("cell 1, line 3: ZeroDivisionError") for text in problems)


@here
def test_run_of_a_generator_gives_its_chunks(tmp_path, target):
    path = book(
        tmp_path / "n.ipynb",
        '%%runpod_handler\ndef handler(job):\n    yield from range(job["input"])',
    )
    found = results(run(path, target, "3"))[0]
    assert (found["stream"], found["output"]) == ([0, 1, 2], [])


def test_run_with_keep_leaves_a_worker_that_stop_ends(handler, tmp_path, monkeypatch):
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "home"))
    rpnb("run", handler, "--input", "1", "--target", "local", "--keep")
    listed = rpnb("ps", "--target", "local")
    stopped = rpnb("stop", handler, "--target", "local")
    after = rpnb("ps", "--target", "local")
    assert "#cli │ warm" in listed.stdout
    assert stopped.stdout.endswith("│ stopped\n")
    assert after.stdout == "local │ no workers\n"


def test_run_with_a_secret_hands_it_to_the_worker_alone(tmp_path, target):
    path = book(
        tmp_path / "n.ipynb",
        "%runpod_env DEMO_TOKEN MODE=fast",
        "%%runpod_handler\nimport os\ndef handler(job):\n"
        '    return [os.environ["DEMO_TOKEN"][::-1], os.environ["MODE"]]',
    )
    done = rpnb(
        *("run", path, "--input", "1", "--target", target.text, "--json"), DEMO_TOKEN="olleh"
    )
    assert results(done)[0].get("output") == ["hello", "fast"], done
