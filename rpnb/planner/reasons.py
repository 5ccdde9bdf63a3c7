"""Why a step runs again, in words for people."""

from __future__ import annotations

from dataclasses import dataclass

# What a resource is called in a sentence.
_RESOURCES = {
    "environ": "the environment",
    "cwd": "the working directory",
    "path": "sys.path",
    "torch.flags": "torch's settings",
    "numpy.options": "numpy's options",
    "pandas.options": "pandas' options",
    "sklearn.options": "scikit-learn's options",
    "world": "a library's state",
    **dict.fromkeys(("random", "numpy.random", "torch.random"), "random numbers"),
}


@dataclass(frozen=True)
class Reason:
    """Why a step runs, or why the worker starts anew.

    kind      said as
    new       "new"
    changed   "`norm` changed"                      (its own text)
    method    "`predict` changed, in place"          (methods of a class that stays)
    failed    "it failed last time"
    always    "it registers the handler"
    uses      "uses `norm`"                         (a step that runs, made it)
    removed   "`model.half()` was removed"          (and had changed what this step made)
    edited    "`model.half()` changed"
    rerun     "`model.half()` runs again"
    after     "comes after `x = load()`"             (which runs, and must not see its effect)
    moved     "`x` moved"
    job       "a job stored into `CACHE` by code that changed"
    thread    "a thread runs `poll`, which changed"      (restart)
    endless   "its steps undo each other"            (restart)
    imports   "`os.environ[...] = ...` stands before an import"  (restart)

    `name` is the name that carried it (`$environ`: a resource), `cause` the first
    line of the causing step's text, `line` its line in the program it stands in.
    """

    kind: str
    name: str = ""
    line: int = 0
    cause: str = ""

    def text(self) -> str:
        """The reason for people, without a full stop."""
        fixed = {
            "new": "new",
            "failed": "it failed last time",
            "always": "it registers the handler",
            "changed": f"`{self.name}` changed",
            "method": f"`{self.name}` changed, in place",
            "after": f"comes after `{self.cause}`",
            "moved": f"`{self.name}` moved",
            "endless": "its steps undo each other",
            "thread": f"a thread runs `{self.name}`, which changed",
            "job": f"a job stored into `{self.name}` by code that changed",
            "uses": f"uses {self._thing()}",
        }
        ends = {
            "removed": "was removed",
            "edited": "changed",
            "rerun": "runs again",
            "imports": "stands before an import that has run",
        }
        return fixed.get(self.kind) or f"`{self.cause}` {ends[self.kind]}"

    def _thing(self) -> str:
        if not self.name.startswith("$"):
            return f"`{self.name}`"
        resource = self.name[1:]
        return f"{_RESOURCES.get(resource, resource)}, which `{self.cause}` sets"
