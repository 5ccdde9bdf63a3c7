"""Programs written as texts, and the runs of them, for tests of what a session does."""

from __future__ import annotations

import itertools
import textwrap

from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names
from rpnb.session.updates import Failed, Finished, Logged, Planned, Shown, Synced

_ids = itertools.count()


def program(*setups, handler=None, names=None, env=None):
    """Return the program of these set-up texts and this handler's text."""
    cells = [
        Cell(f"s{number}", "setup", "", f"cell {number}", textwrap.dedent(text).strip("\n"))
        for number, text in enumerate(setups, 1)
    ]
    if handler is not None:
        text = textwrap.dedent(handler).strip("\n")
        cells.append(Cell("h", "handler", "", f"cell {len(setups) + 1}", text))
    return build(cells, names or Names(), env=env or {})


def job(value=None, **rest):
    """Return a whole job with an id of its own."""
    return {"id": f"j{next(_ids)}", "input": {} if value is None else value, **rest}


class Seen(list):
    """The updates of a run."""

    def of(self, kind):
        return [update for update in self if isinstance(update, kind)]

    @property
    def result(self):
        found = self.of(Finished)
        assert found, f"no job finished: {self}"
        return found[-1].result

    @property
    def failed(self):
        return next(iter(self.of(Failed)), None)

    @property
    def out(self):
        return "".join(each.text for each in self.of(Logged) if each.stream == "out")

    @property
    def ran(self):
        """The names that the plan said would be made anew."""
        return {name for plan in self.of(Planned) for step in plan.run for name in step["names"]}

    @property
    def restart(self):
        return next((plan.restart for plan in self.of(Planned) if plan.restart), None)

    @property
    def synced(self):
        return self.of(Synced)[-1]

    @property
    def shown(self):
        return [update.mimes for update in self.of(Shown)]


def run(session, made, value=None, **work):
    """Submit a program with one job where it has a handler; return what was seen."""
    if "job" not in work and made is not None and made.handler:
        work["job"] = job(value)
    return Seen(session.submit(made, **work))
