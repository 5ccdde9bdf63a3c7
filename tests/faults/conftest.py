"""A session on each target, what can be done to it, and which form of the suite runs."""

from __future__ import annotations

import os
import signal
import sys

import pytest

import rpnb
from tests.faults.breaking import WORKER, Processes

# Set by `make faults`: more cuts, every combination, real floods. Minutes to an hour.
IS_LONG = bool(os.environ.get("RPNB_LONG"))


def pytest_configure():
    # A shell starts what it runs in the background deaf to Ctrl-C, which tests here press.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    left_out = [] if IS_LONG else [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture
def tell(request):
    """Say something at the end of the whole run, whichever process this is."""
    return lambda text: request.node.user_properties.append(("told", text))


def pytest_terminal_summary(terminalreporter):
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        if report.when == "call":
            for name, text in report.user_properties:
                if name == "told":
                    terminalreporter.write_line(text)


@pytest.fixture
def session(target):
    session = rpnb.connect(target.text, name=WORKER, python=sys.executable)
    yield session
    session.stop()


@pytest.fixture
def processes(session, target, request):
    sshd = request.getfixturevalue("sshd") if target.kind == "ssh" else None
    return Processes(target.home, sshd)
