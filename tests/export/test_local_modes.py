"""The exported file in the SDK's own local modes: a file of input, a failing job, a server."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from rpnb.export.write import write
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names
from tests.production import quick
from tests.sshd import free_port

pytestmark = pytest.mark.timeout(120)

HANDLER = """\
def handler(job):
    if not job["input"]:
        return {"error": "nothing given"}
    return {"doubled": 2 * job["input"]["n"]}
"""


@pytest.fixture
def exported(folder):
    """An exported handler file."""
    cells = [Cell("c1", "handler", "", "cell 1", HANDLER, 2)]
    return write(build(cells, Names({})), folder / "handler.py").path


def run(exported, scratch, *options):
    return subprocess.run(
        [sys.executable, exported.name, *options],
        cwd=exported.parent,
        env=quick(scratch),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("given", "code"), [({"n": 4}, 0), ({}, 1), ({"m": 1}, 1)])
def test_export_runs_the_test_input_beside_it(exported, tmp_path, given, code):
    (exported.parent / "test_input.json").write_text(json.dumps({"input": given}))
    done = run(exported, tmp_path)
    assert done.returncode == code, done.stdout
    assert code or "{'output': {'doubled': 8}}" in done.stdout


def test_export_takes_a_test_input_option(exported, tmp_path):
    done = run(exported, tmp_path, "--test_input", '{"input": {"n": 2}}')
    assert (done.returncode, "'doubled': 4" in done.stdout) == (0, True)


def test_export_serves_the_local_api(exported, tmp_path):
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, exported.name, "--rp_serve_api", "--rp_api_port", str(port)],
        cwd=exported.parent,
        env=quick(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        answer = _ask(f"http://localhost:{port}/runsync", {"input": {"n": 21}})
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)
    assert (answer["status"], answer["output"]) == ("COMPLETED", {"doubled": 42})


def _ask(url, body):
    """POST once the server listens; importing it takes a second or two."""
    deadline = time.monotonic() + 60
    while (answer := _posted(url, body)) is None:
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.05)
    return answer


def _posted(url, body):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.URLError:
        return None
