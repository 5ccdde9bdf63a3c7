"""The magics: each reads its line and hands over. No logic here.

`$name` and `{name}` are left alone in every line (`no_var_expand`): braces are JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from .interrupt import own_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..program.options import Options
    from ..session.result import Result
    from .notebook import Notebook


@magics_class
class RpnbMagics(Magics):
    """Every `%runpod…` and `%%runpod_…` of one notebook."""

    def __init__(self, notebook: Notebook) -> None:
        super().__init__(shell=notebook.shell)
        self._notebook = notebook
        for named in self.magics.values():
            named.update({name: own_lines()(magic) for name, magic in named.items()})

    @no_var_expand
    @cell_magic
    def runpod_setup(self, line: str, cell: str) -> None:
        """Run this cell on the target, once, and keep what it makes warm.

        %%runpod_setup [NAME] [--again] [--send NAME]...
        """
        from .remote_cells import setup

        setup(self._notebook, parse("runpod_setup", line), cell)

    @no_var_expand
    @cell_magic
    def runpod_handler(self, line: str, cell: str) -> None:
        """Define the handler on the target, and run it on an input.

        %%runpod_handler [NAME] [--input INPUT]... [--input-file F] [--no-run] [--no-form]

        The input is the one given here, else the last one run, else the first test's,
        `test_input.json` beside the notebook, or the form's defaults.
        """
        from .remote_cells import handler

        handler(self._notebook, parse("runpod_handler", line), cell)

    @no_var_expand
    @cell_magic
    def runpod_remote(self, line: str, cell: str) -> None:
        """Look around on the target: the cell sees the program's names, the program not its.

        %%runpod_remote [--to NAME]

        `--to NAME` binds the last expression's value here.
        """
        from .remote_cells import scratch

        scratch(self._notebook, parse("runpod_remote", line), cell)

    @no_var_expand
    @cell_magic
    def runpod_test(self, line: str, cell: str) -> None:
        """An ordinary cell, run here, whose last expression is an input or a list of them.

        %%runpod_test NAME [--expect JSON] [--expect-error [TEXT]] [--compare F] [--no-run]
        """
        from .local_tests import test

        __tracebackhide__ = True
        test(self._notebook, parse("runpod_test", line), cell)

    @no_var_expand
    @line_magic
    def runpod(self, line: str) -> None:
        """The table of cells and magics, and where each runs.

        %runpod
        """
        from .overview import overview

        parse("runpod", line)
        print(overview(self._notebook))

    @no_var_expand
    @line_magic
    def runpod_connect(self, line: str) -> None:
        """TARGET: local · an alias of ~/.ssh/config · [user@]host[:port] · a pasted ssh command.

        %runpod_connect [TARGET] [--python P] [--gpu N[,M]] [--name N] [--sdk V] [--keep]

        `--keep`: the worker is not stopped for being unused.
        """
        from .connecting import connect

        connect(self._notebook, parse("runpod_connect", line))

    @no_var_expand
    @line_magic
    def runpod_run(self, line: str) -> Result | None:
        """Run the handler on a test, JSON or a Python expression; without INPUT on the last one.

        %runpod_run [INPUT] [--cold] [--attach ID] [--timeout S]
        """
        from .calling import run

        return run(self._notebook, parse("runpod_run", line))

    @no_var_expand
    @line_magic
    def runpod_status(self, line: str) -> None:
        """The worker, the program's cells, and what is warm.

        %runpod_status
        """
        from .status import status

        parse("runpod_status", line)
        status(self._notebook)

    @no_var_expand
    @line_magic
    def runpod_program(self, line: str) -> None:
        """The program as it runs and as it would be exported.

        %runpod_program
        """
        from .exporting import show_program

        parse("runpod_program", line)
        show_program(self._notebook)

    @no_var_expand
    @line_magic
    def runpod_explain(self, line: str) -> None:
        """Why NAME, or each step of the last run, ran again or stayed warm.

        %runpod_explain [NAME]
        """
        from .explaining import explain

        explain(self._notebook, parse("runpod_explain", line))

    @no_var_expand
    @line_magic
    def runpod_drop(self, line: str) -> None:
        """Take a cell out of the program: its NAME, or "cell 3" in quotes.

        %runpod_drop NAME
        """
        from .exporting import drop

        drop(self._notebook, parse("runpod_drop", line))

    @no_var_expand
    @line_magic
    def runpod_restart(self, line: str) -> None:
        """Give the same program a new worker.

        %runpod_restart
        """
        from .connecting import restart

        parse("runpod_restart", line)
        restart(self._notebook)

    @no_var_expand
    @line_magic
    def runpod_env(self, line: str) -> None:
        """KEY alone takes a secret from here, never stored; KEY=VALUE is part of the program.

        %runpod_env KEY[=VALUE]...
        """
        from .environment import set_env

        set_env(self._notebook, parse("runpod_env", line))

    @no_var_expand
    @line_magic
    def runpod_disconnect(self, line: str) -> None:
        """Let go of the worker; it stays warm.

        %runpod_disconnect
        """
        from .connecting import disconnect

        parse("runpod_disconnect", line)
        self._unless_headless("runpod_disconnect", lambda: disconnect(self._notebook))

    @no_var_expand
    @line_magic
    def runpod_stop(self, line: str) -> None:
        """End this notebook's worker and free the GPU.

        %runpod_stop [--pod]
        """
        from .connecting import stop

        options = parse("runpod_stop", line)
        self._unless_headless("runpod_stop", lambda: stop(self._notebook, options))

    @no_var_expand
    @line_magic
    def runpod_export(self, line: str) -> None:
        """Write the program as handler.py; `--verify` proves it in a fresh process.

        %runpod_export [PATH] [--project DIR] [--verify] [--force]
        """
        from .exporting import export

        options = parse("runpod_export", line)
        self._unless_headless("runpod_export", lambda: export(self._notebook, options))

    def _unless_headless(self, magic: str, act: Callable[[], None]) -> None:
        """Do it, unless the command line executes the notebook: then say that it is left out."""
        from .notebook import is_headless

        if is_headless():
            print(f"%{magic} does nothing here: rpnb's command line runs this notebook")
        else:
            act()


def parse(magic: str, line: str) -> Options:
    """Return what a magic's line says; imports its reader when first needed."""
    from ..program.options import parse as read

    return read(magic, line)
