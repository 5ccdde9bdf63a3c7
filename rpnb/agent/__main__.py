"""The agent's command line: `python agent.pyz VERB`.

Answers are JSON lines on standard output. A verb imports only what it needs:
`start` finds a running agent in a few tens of milliseconds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import RpnbError


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(_VERBS[options.verb](options) or 0)
    except RpnbError as error:
        _say({"error": {"type": type(error).__name__, "message": str(error)}})
        return 1


def _start(options: argparse.Namespace) -> None:
    from . import bootstrap

    ready = bootstrap.start(
        options.worker,
        bootstrap.Options(options.python, options.gpu, options.sdk, options.keep),
        agent=_agent(),
        on_progress=lambda text: _say({"progress": text}),
    )
    _say({"ready": ready})


def _relay(options: argparse.Namespace) -> int:
    from . import relay
    from .directory import RunDirectory

    return relay.main(RunDirectory(options.directory), _agent())


def _keeper(options: argparse.Namespace) -> int:
    from . import keeper
    from .directory import RunDirectory

    return keeper.main(RunDirectory(options.directory), options.generation, options.lock)


def _bridge(options: argparse.Namespace) -> int:
    from . import bridge

    return bridge.main(options.socket)


def _ps(_options: argparse.Namespace) -> None:
    from . import census

    _say(census.census())


def _stop(options: argparse.Namespace) -> None:
    from . import census

    _say({"stopped": census.stop(options.worker)})


_VERBS = {
    "start": _start,
    "relay": _relay,
    "keeper": _keeper,
    "bridge": _bridge,
    "ps": _ps,
    "stop": _stop,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agent.pyz", description="rpnb's agent")
    verbs = parser.add_subparsers(dest="verb", required=True)
    start = verbs.add_parser("start", help="start a worker's agent, or find it")
    start.add_argument("--worker", required=True)
    for option in ("--python", "--gpu", "--sdk"):
        start.add_argument(option)
    start.add_argument("--keep", action="store_true")
    verbs.add_parser("relay", help="serve a directory").add_argument("directory")
    keeper = verbs.add_parser("keeper", help="run one worker to its end")
    keeper.add_argument("directory")
    keeper.add_argument("generation", type=int)
    keeper.add_argument("lock", type=int, help="the descriptor that holds the keeper's lock")
    verbs.add_parser("bridge", help="join this input and output to a socket").add_argument("socket")
    verbs.add_parser("ps", help="list the workers")
    verbs.add_parser("stop", help="end a worker").add_argument("--worker", required=True)
    return parser


def _say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


def _agent() -> Path:
    """Return the zip (or the folder) that `python` ran."""
    return Path(__file__).resolve().parents[2]


if __name__ == "__main__":
    sys.exit(main())
