"""Write the program as handler.py, prove it, or show it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, ExportError
from .connecting import attached
from .jobs import tell
from .screen import CellScreen
from .unsaved import differences, strays

if TYPE_CHECKING:
    from ..export.verify import Verified
    from ..program.options import Options
    from ..program.steps import Program
    from .notebook import Notebook

# An example input on the line that invites to try it must fit beside it.
_LONGEST_EXAMPLE = 60


def export(notebook: Notebook, options: Options) -> None:
    """Write the program to PATH (`handler.py` beside the notebook); with `--verify`, prove it.

    Raises:
        ExportError: it cannot be written, or is not proved.
        ProgramError: the cells do not make a program.
    """
    from ..export.write import write

    if options.has("project"):
        message = "--project comes with a later version: write handler.py without it"
        raise BadInput(message, options.line, options.line.find("--project"))
    screen = CellScreen(notebook.shell)
    program = notebook.with_handler()
    path = notebook.folder / Path(options.word or "handler.py").expanduser()
    written = write(program, path, force=options.has("force"), strays=strays(notebook))
    if not options.has("verify"):
        screen.lead((written.summary, _try_it(notebook, written.shown)))
    _tell(notebook, program, screen)
    if not options.has("verify"):
        return
    screen.lead((written.summary, "verifying"), final=False)
    verified = _verify(notebook, program, screen)
    screen.lead((written.summary, verified.summary))
    if not verified.proved:
        raise ExportError("not proved: " + "; ".join(verified.differences))


def _tell(notebook: Notebook, program: Program, screen: CellScreen) -> None:
    """The program's notes, and what the saved notebook would export otherwise."""
    tell(notebook, program.notes, screen)
    found = differences(notebook, program)
    if found and notebook.path is not None:
        command = f"rpnb export {notebook.path.name}"
        screen.line((f"not what `{command}` would write; save or run these cells:",))
    for each in found:
        screen.line((f"  {each}",))


def show_program(notebook: Notebook) -> None:
    """Print the program, exactly as the export would write it."""
    from IPython.display import Code

    from ..transport.text import harmless

    program = notebook.build()
    drawn: Any = Code(program.text, language="python")  # type: ignore[no-untyped-call]
    bundle = {"text/plain": harmless(program.text), "text/html": drawn._repr_html_()}
    CellScreen(notebook.shell).draw(bundle)


def drop(notebook: Notebook, options: Options) -> None:
    """Take a cell out of the program.

    Raises:
        BadInput: no cell of the program has this NAME or label.
    """
    key = options.word or ""
    notebook.read_page()
    found = notebook.cells.called(key)
    if not found:
        known = ", ".join(each.title for each in notebook.cells.in_order())
        has = f"it has {known}" if known else "it has none"
        raise BadInput(f"no cell of the program has the NAME or label {key!r}: {has}")
    if len(found) > 1:
        known = " and ".join(f'"{each.label}"' for each in found)
        raise BadInput(f"{len(found)} cells of the program are called {key!r}: drop {known}")
    notebook.drop(found[0])
    line = (f"dropped {found[0].title}", "its names go at the next run")
    CellScreen(notebook.shell).lead((notebook.target, *line))


def _verify(notebook: Notebook, program: Program, screen: CellScreen) -> Verified:
    from ..export.verify import verify
    from ..session.session import result_of

    if not notebook.recorded:
        raise ExportError("nothing to verify with: run the handler on an input first")

    def tell(text: str) -> None:
        screen.lead((text,), final=False)

    for each in list(notebook.recorded.values()):
        if each.text != program.text:
            # Another program gave this result: what the warm worker says now is compared.
            tell("running recorded jobs again, which ran before the last edit")
            again = attached(notebook).submit(program, job=each.job)
            notebook.record_job(each.job, result_of(again))
    recorded = [(each.job, each.result) for each in notebook.recorded.values()]
    verified = verify(attached(notebook), program, recorded, on_progress=tell)
    if verified.replaced:
        notebook.renewed()
    return verified


def _try_it(notebook: Notebook, path: str) -> str:
    there, value = notebook.memory.last_input
    example = json.dumps(value) if there else "{}"
    if len(example) > _LONGEST_EXAMPLE or "'" in example:
        example = "@input.json"
    target = notebook.session.target.text if notebook.session else "local"
    named = f"--input '{example}' --target {shlex.quote(target)}"
    return f"try it: rpnb run {shlex.quote(path)} {named}"
