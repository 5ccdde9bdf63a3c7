"""Loggers: what is only told to one, and which change nothing by being told."""

from __future__ import annotations

import ast
import io
import logging

import pytest

from rpnb.planner.kinds import kind
from rpnb.planner.loggers import told
from tests.planner.differential import difference
from tests.planner.stage import Stage
from tests.planner.version import Version

# Statement -> the name that is asked for no setting if it is `logging`, if it is a logger.
TOLD = {
    "log.info('a %s', x)": ("", "log"),
    "def f():\n    log.debug('a')\n    return 1": ("", "log"),
    "log = logging.getLogger('a')": ("logging", "logging"),
    "logging.basicConfig(level=logging.INFO)": ("", ""),
    "x = logging.INFO": ("logging", "logging"),
    "x = log.level": ("", ""),
    "log.info(log.level)": ("", ""),
    "x = logging.getLogger('a').level": ("", ""),
    "self.log = logging.getLogger('a')": ("", ""),
}


@pytest.mark.parametrize(("text", "expected"), TOLD.items())
def test_name_is_told_where_nothing_else_is_asked_of_it(
    text: str, expected: tuple[str, str]
) -> None:
    found = told(ast.parse(text).body[0])
    assert tuple("".join(each) for each in found) == expected


def _logger(handler: logging.Handler | None = None) -> logging.Logger:
    found = logging.Logger("rpnb.tests.plain")
    for each in [handler] if handler else []:
        found.addHandler(each)
    return found


class _Keeps(logging.Handler):
    """A handler of the program's."""


def test_logger_that_only_writes_lines_is_no_data() -> None:
    assert kind(_logger(logging.StreamHandler())) == "log"


@pytest.mark.parametrize("handler", [_Keeps(), logging.StreamHandler(io.StringIO())])
def test_logger_whose_messages_the_program_can_read_is_data(handler: logging.Handler) -> None:
    assert kind(_logger(handler)) == "data"


_HANDLER = (
    "n = []\nclass H(logging.Handler):\n    def emit(self, record):\n        n.append(record.msg)\n"
)
_KEPT = "import io\nb = io.StringIO()\nlogging.basicConfig(stream=b)\n"
_FORMAT = "h.setFormatter(logging.Formatter('a'))"
_COUNTS = "n = []\nlog.addFilter(lambda r: n.append(1) or True)\n"
_LOG = "import logging\nlog = logging.getLogger('rpnb.tests.app')\n"
SERIES = {
    "a handler is not there twice": (
        f"{_LOG}log.addHandler(logging.StreamHandler())\nlog.info('a')",
        f"{_LOG}log.addHandler(logging.StreamHandler())\nlog.info('b')",
        f"{_LOG}h = logging.StreamHandler()\nlog.addHandler(h)",
        _LOG,
    ),
    "a logger that does not propagate": (f"{_LOG}log.propagate = False", _LOG),
    "a handler's formatter": (
        f"{_LOG}h = logging.StreamHandler()\nlog.addHandler(h)\n{_FORMAT}",
        f"{_LOG}h = logging.StreamHandler()\nlog.addHandler(h)",
    ),
    "a level that is asked for": (
        f"{_LOG}log.setLevel(10)\nx = log.level",
        f"{_LOG}log.setLevel(20)\nx = log.level",
    ),
    "a level that a function asks for": (
        f"{_LOG}def f():\n    return log.isEnabledFor(10)\nlog.setLevel(10)\nx = f()",
        f"{_LOG}def f():\n    return log.isEnabledFor(10)\nlog.setLevel(20)\nx = f()",
    ),
    "a handler of the program's at the root": (
        f"{_LOG}{_HANDLER}logging.error('a')",
        f"{_LOG}{_HANDLER}logging.getLogger().addHandler(H())\nlogging.error('a')",
        f"{_LOG}{_HANDLER}logging.error('a')",
    ),
    "a handler of the program's": (
        f"{_LOG}{_HANDLER}log.error('a')",
        f"{_LOG}{_HANDLER}log.addHandler(H())\nlog.error('a')",
        f"{_LOG}{_HANDLER}log.addHandler(H())\nlog.error('b')",
    ),
    "lines that are kept in memory": (
        f"{_LOG}{_KEPT}logging.error('a')\nx = b.getvalue()",
        f"{_LOG}{_KEPT}logging.error('b')\nx = b.getvalue()",
        f"{_LOG}{_KEPT}log.error('b')\nx = b.getvalue()",
        f"{_LOG}{_KEPT}x = b.getvalue()",
    ),
    "a message below a handler at the root that came later": (
        f"{_LOG}{_HANDLER}log.error('a')",
        f"{_LOG}{_HANDLER}logging.getLogger().addHandler(H())\nlog.error('a')",
    ),
    "a filter that counts": (
        f"{_LOG}{_COUNTS}log.error('a')",
        f"{_LOG}{_COUNTS}log.error('a')\nlog.error('b')",
        f"{_LOG}{_COUNTS}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("about", SERIES)
def test_logging_is_what_a_fresh_run_makes_it(about: str, stage: Stage) -> None:
    assert difference(stage, [Version((text,)) for text in SERIES[about]]) == ""
