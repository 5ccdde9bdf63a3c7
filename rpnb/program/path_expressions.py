"""What expressions of paths stand for, worked out without running them.

`os.path.join(os.path.dirname(__file__), "words.txt")` and `Path.cwd() / "src"` only
depend on where a file lies; whatever depends on more has no value here.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from . import dotted

# A text read as if it lay there: what does not move with it is absolute.
ELSEWHERE = Path("/elsewhere")
_Value = str | PurePosixPath
_PATHS = ("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath")
_SAME = ("str", "os.fspath")
_ABSOLUTE = ("os.path.abspath", "os.path.realpath")
# A name that is bound in terms of itself has no value.
_DEPTH = 12


class Reading:
    """The values that expressions of a text may have, as far as the file's place tells."""

    def __init__(self, tree: ast.Module, file: Path, cwd: Path) -> None:
        self.imported = dotted.imported(tree)
        self._file, self._folder = PurePosixPath(file), PurePosixPath(cwd)
        self._bound: dict[str, list[ast.expr]] = {}
        for name, value in _bindings(tree):
            self._bound.setdefault(name, []).append(value)

    def values(self, node: ast.expr) -> Iterator[str]:
        """Yield the paths that the expression may be."""
        for value in self._values(node, _DEPTH):
            yield str(value)

    def _values(self, node: ast.expr, depth: int) -> Iterator[_Value]:
        if not depth:
            return
        if isinstance(node, ast.Name) and node.id in self._bound:
            for each in self._bound[node.id]:
                yield from self._values(each, depth - 1)
            return
        value = self._value(node, depth - 1)
        if value is not None:
            yield value

    def _one(self, node: ast.expr, depth: int) -> _Value | None:
        return next(self._values(node, depth), None)

    def _value(self, node: ast.expr, depth: int) -> _Value | None:
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return str(self._file) if node.id == "__file__" else None
        if isinstance(node, ast.BinOp):
            return self._joined(node, depth)
        if isinstance(node, ast.JoinedStr):
            return self._formatted(node, depth)
        if isinstance(node, ast.Call):
            return self._called(node, depth)
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            path = self._one(node.value, depth)
            return path.parent if isinstance(path, PurePosixPath) else None
        if isinstance(node, ast.Attribute):
            return {"os.curdir": ".", "os.pardir": ".."}.get(dotted.name(node, self.imported))
        return self._ancestor(node, depth) if isinstance(node, ast.Subscript) else None

    def _joined(self, node: ast.BinOp, depth: int) -> _Value | None:
        left, right = self._one(node.left, depth), self._one(node.right, depth)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Div):
            return PurePosixPath(left) / right
        both = isinstance(left, str) and isinstance(right, str)
        return f"{left}{right}" if isinstance(node.op, ast.Add) and both else None

    def _formatted(self, node: ast.JoinedStr, depth: int) -> str | None:
        inner = (
            each.value if isinstance(each, ast.FormattedValue) else each for each in node.values
        )
        parts = [self._one(each, depth) for each in inner]
        return None if None in parts else "".join(map(str, parts))

    def _ancestor(self, node: ast.Subscript, depth: int) -> _Value | None:
        of, index = node.value, node.slice
        if not (isinstance(of, ast.Attribute) and of.attr == "parents"):
            return None
        path, number = self._one(of.value, depth), getattr(index, "value", None)
        if not isinstance(path, PurePosixPath) or not isinstance(number, int):
            return None
        return path.parents[number] if number < len(path.parents) else None

    def _called(self, node: ast.Call, depth: int) -> _Value | None:
        called = dotted.name(node.func, self.imported)
        if called == "os.getcwd":
            return str(self._folder)
        if called in [f"{each}.cwd" for each in _PATHS]:
            return self._folder
        given = [self._one(each, depth) for each in node.args]
        if None not in given and given:
            found = self._applied(called, [each for each in given if each is not None])
            if found is not None:
                return found
        return self._method(node, given, depth)

    def _applied(self, called: str, given: list[_Value]) -> _Value | None:
        if called in _PATHS:
            return PurePosixPath(*given)
        text = str(given[0])
        if called in _SAME:
            return text
        if called in _ABSOLUTE:
            return self._absolute(text)
        if called == "os.path.dirname":
            return posixpath.dirname(text)
        if called == "os.path.normpath":
            return posixpath.normpath(text)
        return posixpath.join(*map(str, given)) if called == "os.path.join" else None

    def _method(self, node: ast.Call, given: list[_Value | None], depth: int) -> _Value | None:
        """A method of a path, such as `Path(__file__).resolve()`."""
        if not isinstance(node.func, ast.Attribute):
            return None
        path = self._one(node.func.value, depth)
        if not isinstance(path, PurePosixPath):
            return None
        if node.func.attr in ("resolve", "absolute"):
            return PurePosixPath(self._absolute(str(path)))
        if node.func.attr == "joinpath" and None not in given:
            return path.joinpath(*[each for each in given if each is not None])
        return str(path) if node.func.attr in ("as_posix", "__str__") else None

    def _absolute(self, text: str) -> str:
        return posixpath.normpath(posixpath.join(str(self._folder), text))


def _bindings(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names with the expressions that they are bound to, and what a loop gives them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            names = [each for each in node.targets if isinstance(each, ast.Name)]
            yield from ((each.id, node.value) for each in names)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            if isinstance(node.target, ast.Name):
                yield node.target.id, node.value
        elif isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.target, ast.Name):
            values = node.iter.elts if isinstance(node.iter, (ast.List, ast.Tuple)) else ()
            yield from ((node.target.id, each) for each in values)
