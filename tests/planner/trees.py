"""Random local modules: a package, importers of importers, data files, modules with state.

Their names begin with `lm_` and `lp_`. Each is a list of statements, as programs are.
"""

from __future__ import annotations

import random
import re

from tests.planner.grammar import sections

_PARTS = sections("modules.files")
_OWN = [path for path in _PARTS if path.startswith("lp_pkg/")]
# A file may import those that stand before it.
_ORDER = ["lm_late.py", "lm_base.py", *_OWN, "lp_pkg/data.json", "lm_help.py"]
# What programs do with them; without an import nothing else runs.
STATEMENTS = [*_PARTS["program imports"] * 2, *_PARTS["program uses"]]

Tree = dict[str, list[str]]


def tree(rng: random.Random) -> Tree:
    """Return files, each as a list of statements."""
    return {path: _file(rng, path) for path in _ORDER}


def _file(rng: random.Random, path: str) -> list[str]:
    if path.endswith(".json"):
        return [f"[{rng.randrange(1, 4)}]"]
    return ["N = 1", *(_statement(rng, path) for _ in range(rng.randrange(1, 5)))]


def _statement(rng: random.Random, path: str) -> str:
    anything = _PARTS["any file"]
    choices = [anything, _PARTS.get(path, anything)]
    if path == "lm_late.py":
        # Jobs import it: what they do to libraries is not undone.
        choices = [[text for text in anything if "set_seed" not in text]]
    if path == "lm_help.py":
        choices += [_PARTS["uses lm_base"], _PARTS["uses lm_base"], _PARTS["uses lp_pkg"]]
    return re.sub(r"\$n", lambda _: rng.choice("123"), rng.choice(rng.choice(choices)))


def edited(rng: random.Random, old: Tree) -> Tree:
    """Return the tree with one edit: a statement more, less or changed, a file gone or back."""
    new = {path: list(body) for path, body in old.items()}
    path = rng.choice(_ORDER)
    if path not in new or (path.endswith(".json") and rng.random() < 0.7):
        new[path] = _file(rng, path)
    elif rng.random() < 0.07:
        del new[path]
    else:
        _edit(rng, path, new[path])
    return {path: new[path] for path in _ORDER if path in new}


def _edit(rng: random.Random, path: str, body: list[str]) -> None:
    sort = rng.choice(["change", "insert", "delete", "constant", "comment"])
    place = rng.randrange(len(body)) if body else 0
    if path.endswith(".json"):
        body[:] = [f"[{rng.randrange(1, 4)}]"]
    elif sort == "insert" or not body:
        body.insert(place, _statement(rng, path))
    elif sort == "delete":
        del body[place]
    elif sort == "change":
        body[place] = _statement(rng, path)
    elif sort == "comment":
        body.insert(place, "# a comment")
    else:
        body[place] = re.sub(r"(?<![\w.])[123]\b", rng.choice("123"), body[place], count=1)


def files(found: Tree) -> dict[str, bytes]:
    """Return the files as bytes."""
    return {path: "\n".join([*body, ""]).encode() for path, body in found.items()}
