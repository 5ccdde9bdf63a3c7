"""The side that runs in the fresh kernel: remember what made each name, then build.

Here rpnb's magics do nothing: the ordinary cells are executed for their names,
not for their runs. Only a test's value is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError
from IPython.core.getipython import get_ipython
from IPython.core.magic import no_var_expand

from ..errors import RpnbError
from ..program import inputs, options
from ..program.build import build
from ..program.names import Names
from ..program.provenance import Provenance
from .bundle import Bundle, Request, write_error
from .parts import in_cell

# Their value is what a run gives, and nothing runs here.
_RESULTS = ("runpod_run",)


class Kernel:
    """This kernel's shell, with what was asked of it and what its cells have made."""

    def __init__(self, folder: Path) -> None:
        self._shell: Any = get_ipython()
        self._folder = folder
        self._request = Request.read(folder)
        self._labels = {text: label for label, text in self._request.labels}
        self._provenance = Provenance()
        self._tests: dict[str, Any] = {}

    def prepare(self) -> None:
        """Silence rpnb's magics, and begin to note what made each name."""
        for name in options.SYNTAX:
            quiet = _refusing(name) if name in _RESULTS else _nothing
            self._shell.register_magic_function(quiet, "line", name)
        self._shell.register_magic_function(_keeping(self._tests), "cell", "runpod_test")
        self._shell.events.register("post_run_cell", self._note)

    def build(self) -> None:
        """Write the bundle, or the error that stands for it."""
        try:
            self._bundle().write(self._folder)
        except RpnbError as error:
            write_error(error, self._folder)

    def _bundle(self) -> Bundle:
        request, namespace = self._request, self._shell.user_ns
        names = Names(
            namespace,
            self._provenance,
            Path(request.folder),
            hidden=self._shell.user_ns_hidden,
            send=request.send,
        )
        program = build(request.cells, names, env=request.env)
        with in_cell(request.input_cell):
            values = [
                inputs.read(typed, tests=self._tests, evaluate=lambda code: eval(code, namespace))
                for typed in request.inputs
            ]
        for name, value in self._tests.items():
            inputs.check_json(value, path=f"test `{name}`")
        return Bundle(program, tuple(values), self._tests)

    def _note(self, result: Any) -> None:
        if not result.success:
            return
        raw = result.info.raw_cell
        text = self._shell.transform_cell(raw)
        self._provenance.record(self._labels.get(raw, "a cell"), text, self._shell.user_ns)


@no_var_expand
def _nothing(_line: str) -> None:
    pass


def _refusing(name: str) -> Callable[[str], None]:
    @no_var_expand
    def refuse(_line: str) -> None:
        raise UsageError(f"%{name} gives nothing here: no job runs while a program is built")

    return refuse


def _keeping(tests: dict[str, Any]) -> Callable[[str, str], None]:
    @no_var_expand
    def test(line: str, cell: str) -> None:
        shell: Any = get_ipython()
        result = shell.run_cell(cell)
        result.raise_error()
        tests[options.parse("runpod_test", line).word or ""] = result.result

    return test


_kernels: list[Kernel] = []


def begin(folder: str) -> None:
    """Prepare this kernel; `folder` holds the request."""
    _kernels.append(Kernel(Path(folder)))
    _kernels[-1].prepare()


def finish() -> None:
    """Build the program of what this kernel now holds."""
    _kernels[-1].build()
