"""From a login to an agent that listens: one round trip, two where it must be sent.

A shell script finds a root directory and a Python, and runs the agent where it
is already there. Otherwise the script's answer says what is missing, and the
second command sends the agent and runs it.
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from typing import Any, Callable, Sequence

from .. import errors
from ..transport.stream import Completed, Transport
from ..transport.text import harmless
from . import agent
from .probe import Probe, script

Report = Callable[[str], None]


@dataclass(frozen=True)
class Ready:
    """An agent that listens on `socket`, and what is known of its place.

    `bridge_command` joins standard input and output to the socket, for servers
    that forward no unix sockets. `python` is the worker's; `sdk` the version of
    runpod it will import, None where that is not known.
    """

    socket: str
    bridge_command: str
    python: str
    sdk: str | None
    root: str
    worker: str


def start(
    transport: Transport,
    worker: str,
    *,
    python: str | None = None,
    gpu: str | None = None,
    sdk: str | None = None,
    keep: bool = False,
    on_progress: Report | None = None,
) -> Ready:
    """Return the agent of `worker`, started if none runs; sends it where it is new.

    Idempotent: a worker's second start finds the first one's agent.

    Raises:
        NoPython: the target has no Python 3.9 or newer; names those it has.
        NoSpace: no directory there can be written.
        CannotPrepare: the overlay or the agent could not be set up.
    """
    python = python or _own_python(transport)
    verb = ["start", "--worker", worker]
    for option, value in (("--gpu", gpu), ("--sdk", sdk)):
        verb += [option, value] if value is not None else []
    verb += ["--keep"] if keep else []
    place, answers = _call(transport, verb, python, on_progress)
    for answer in answers:
        if isinstance(answer, dict) and "ready" in answer:
            return _ready(answer["ready"], place, worker)
    raise _silent(transport, place)


def census(transport: Transport, *, python: str | None = None) -> dict[str, Any]:
    """Return {"workers", "gpus"} of this login on the target, as the agent's `ps` lists them."""
    place, answers = _call(transport, ["ps"], python or _own_python(transport))
    for answer in answers:
        if isinstance(answer, dict) and isinstance(answer.get("workers"), list):
            return answer
    raise _silent(transport, place)


def stop(transport: Transport, worker: str, *, python: str | None = None) -> None:
    """End a worker and its agent; does nothing where there is none."""
    _call(transport, ["stop", "--worker", worker], python or _own_python(transport))


def _own_python(transport: Transport) -> str | None:
    # On this machine the kernel's own Python is the one with the person's packages.
    return sys.executable if transport.target.text == "local" else None


@dataclass
class _Place:
    probe: Probe
    stderr: str = ""


def _call(
    transport: Transport, verb: Sequence[str], python: str | None, on_progress: Report | None = None
) -> tuple[_Place, list[Any]]:
    """Run a verb of the agent, sending the agent first where it is not there."""
    packed, name = agent.pack()
    label = transport.target.label
    listener = _Listener(on_progress)
    done = transport.run("exec sh -s", script(name, verb, python).encode(), listener.line)
    probe = Probe.parse(done.stdout)
    if probe.missing:
        listener.progress(f"sending the agent ({len(packed) / 1000:.0f} kB)")
        command = _send_and_run(probe, verb)
        done = transport.run(command, packed, listener.line)
        if "rpnb:full" in done.stdout:
            raise errors.NoSpace(_no_space(label, probe, done))
    probe.require(label, done.stderr, python)
    answers = [value for line in done.stdout.splitlines() if (value := _json(line)) is not None]
    for answer in answers:
        if isinstance(answer, dict) and "error" in answer:
            raise _error(answer["error"])
    if done.code != 0:
        raise _crashed(label, probe, done)
    return _Place(probe, done.stderr), answers


def _send_and_run(probe: Probe, verb: Sequence[str]) -> str:
    """A command line that keeps its input as the agent and runs a verb of it.

    Written aside and renamed: another client that starts now sees all or nothing.
    """
    there, aside = shlex.quote(probe.agent), shlex.quote(f"{probe.agent}.new") + ".$$"
    line = (
        f"{{ cat > {aside} && mv -f {aside} {there}; }} 2>&1"
        f" || {{ rm -f {aside}; echo rpnb:full; df -Pk {shlex.quote(probe.root)}; exit 28; }}; "
        f"RPNB_HOME={shlex.quote(probe.root)}; export RPNB_HOME; "
        f"exec {_agent(probe)} {shlex.join(verb)} </dev/null"
    )
    return f"exec sh -c {shlex.quote(line)}"


def _agent(probe: Probe) -> str:
    return f"{shlex.quote(probe.python)} {shlex.quote(probe.agent)}"


def _ready(said: dict[str, Any], place: _Place, worker: str) -> Ready:
    socket = str(said["socket"])
    return Ready(
        socket=socket,
        bridge_command=f"{_agent(place.probe)} bridge {shlex.quote(socket)}",
        python=str(said.get("python") or place.probe.python),
        sdk=said.get("sdk"),
        root=str(said.get("root") or place.probe.root),
        worker=str(said.get("worker") or worker),
    )


class _Listener:
    """Hands on the progress among the lines that a command prints."""

    def __init__(self, on_progress: Report | None) -> None:
        self._on_progress = on_progress

    def progress(self, text: str) -> None:
        if self._on_progress is not None:
            self._on_progress(harmless(text))

    def line(self, line: str) -> None:
        said = _json(line)
        if isinstance(said, dict) and "progress" in said:
            self.progress(str(said["progress"]))


def _json(line: str) -> Any:
    # A login's start-up files may print what they like around our lines.
    if line[:1] not in ("{", "["):
        return None
    try:
        return json.loads(line)
    except ValueError:
        return None


def _error(said: dict[str, Any]) -> errors.RpnbError:
    cls = getattr(errors, str(said.get("type")), None)
    if not (isinstance(cls, type) and issubclass(cls, errors.RpnbError)):
        cls = errors.CannotPrepare
    return cls(harmless(str(said.get("message"))))


def _no_space(label: str, probe: Probe, done: Completed) -> str:
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("rpnb:")]
    words = harmless(" · ".join(lines[:3]))
    return (
        f"{label} has no room for rpnb's agent in {probe.root}: {words}. "
        "Free some space there, or set RPNB_HOME to a directory that can be written."
    )


def _crashed(label: str, probe: Probe, done: Completed) -> errors.CannotPrepare:
    last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
    words = harmless(" · ".join(last)) or "no word"
    return errors.CannotPrepare(
        f"the agent on {label} ended with status {done.code}: {words}. "
        f"It was run by {probe.python}; choose another with --python PATH."
    )


def _silent(transport: Transport, place: _Place) -> errors.CannotPrepare:
    last = place.stderr.strip().splitlines()[-1:] or ["nothing on standard error"]
    return errors.CannotPrepare(
        f"the agent on {transport.target.label} gave no answer ({last[0]}). "
        f"It was run by {place.probe.python}; choose another with --python PATH."
    )
