"""What a statement only asks: calls that change nothing if the values called answer them so.

A *look* is a pair (name, what): `model(x)` is ("model", ""), `model.encode(x)` is
("model", "encode"), `torch.zeros(3)` is ("torch", "zeros"). What is done to a part or a
result (`model.parameters()`, `model(x).logits.argmax()`) must be harmless whatever it is
done to: it is ("model", PART). `known` tells which values answer what.
"""

# ruff: noqa: D102 - methods bear the names that ast.NodeVisitor looks for
from __future__ import annotations

import ast
import builtins

from .effects import PURE_BUILTINS
from .known import CONTEXTS, COUNTED, EVERY, LOOKUPS, OF_RESULTS, PART, SELF

Look = tuple[str, str]
Looks = frozenset[Look]

# Builtins that only go through what they are given: harmless where that is.
GOING_THROUGH = frozenset(
    {
        *("sum", "max", "min", "any", "all", "sorted", "list", "tuple", "set", "dict", "next"),
        *("iter", "enumerate", "zip", "reversed"),
    }
)
# Statements that do nothing besides what their expressions do.
_PLAIN = (
    *(ast.Expr, ast.Assign, ast.AnnAssign, ast.Assert, ast.If, ast.For, ast.While, ast.With),
    *(ast.Pass, ast.Break, ast.Continue, ast.Try, ast.AugAssign),
)


def looks(statement: ast.stmt) -> Looks:
    """Return the statement's looks, if it does nothing else but bind names; else none."""
    found = Finder()
    found.visit(statement)
    return frozenset(() if found.does_more else found.looks | found.taken())


def asked(found: Looks) -> frozenset[str]:
    """Return the names whose values are asked for new ones only, and for no parts of theirs."""
    in_part = {name for name, what in found if what in (PART, SELF)}
    return frozenset(name for name, _ in found) - in_part


class Finder(ast.NodeVisitor):
    """Notes what is asked; tells whether anything more is done."""

    def __init__(self) -> None:
        self.looks: set[Look] = set()
        self.does_more = False
        # Loop variables -> what they go through.
        self._elements: dict[str, ast.expr] = {}
        # Names that a call starts from, as nodes, and names that stand anywhere else.
        self._called: set[int] = set()
        self._used: set[str] = set()

    def taken(self) -> set[Look]:
        """Return that values are looked into which are called, and stand elsewhere, too.

        `a, b = model(x), model` binds `b` to the model itself.
        """
        called = {name for name, what in self.looks if what != COUNTED}
        return {(name, PART) for name in asked(frozenset(self.looks)) & called & self._used}

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt) and not isinstance(node, _PLAIN):
            self.does_more = True
        if not self.does_more:
            super().visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if id(node) not in self._called and isinstance(node.ctx, ast.Load):
            self._used.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._store(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._store(node)

    def _store(self, node: ast.Attribute | ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Load):
            self.generic_visit(node)
        else:
            self.does_more = True

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        # Of a number it makes another, a list it changes; what a loop will bind is not known yet.
        target = node.target.id if isinstance(node.target, ast.Name) else ""
        if target and target not in self._elements and isinstance(node.value, ast.Constant):
            self.looks.add((target, COUNTED))
        else:
            self.does_more = True

    def visit_Lambda(self, _node: ast.Lambda) -> None:
        # Whoever gets it may call it.
        self.does_more = True

    def visit_For(self, node: ast.For) -> None:
        self._loop(node.target, node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._loop(node.target, node.iter)
        self.generic_visit(node)

    def _loop(self, target: ast.expr, iterated: ast.expr) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                self._elements[node.id] = iterated

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> None:
        # The loops come first: the element uses their variables.
        for generator in node.generators:
            self.visit(generator)
        self.visit(node.elt)

    visit_ListComp = _comprehension  # noqa: N815 (ast's naming)
    visit_SetComp = _comprehension  # noqa: N815 (ast's naming)
    visit_GeneratorExp = _comprehension  # noqa: N815 (ast's naming)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        for part in (*node.generators, node.key, node.value):
            self.visit(part)

    def visit_withitem(self, node: ast.withitem) -> None:
        path = _path(node.context_expr.func) if isinstance(node.context_expr, ast.Call) else None
        if path is None or path[1] not in CONTEXTS:
            self.does_more = True
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        builtin = node.func.id if isinstance(node.func, ast.Name) else ""
        if builtin in GOING_THROUGH:
            for argument in node.args:
                self._go_through(argument)
        elif builtin not in PURE_BUILTINS and not self._ask(node):
            self.does_more = True
        # `out=a`: a library writes there. That `**options` say so is not expected.
        if any(keyword.arg == "out" for keyword in node.keywords):
            self.does_more = True
        self.generic_visit(node)

    def _ask(self, call: ast.Call) -> bool:
        """Note the look that a call is; tell whether there is one."""
        function = call.func
        path = _path(function)
        if path is not None and path[0] not in self._elements and path[1] in EVERY:
            self.looks.add(path)
            self._called.add(id(parts_of(function)[-1]))
            return True
        method = function.attr if isinstance(function, ast.Attribute) else ""
        owner = function.value if isinstance(function, ast.Attribute) else function
        is_result = any(map(makes_new, parts_of(owner)))
        if method not in LOOKUPS and not (is_result and method in OF_RESULTS):
            return False
        self._note(owner)
        return True

    def _go_through(self, value: ast.expr) -> None:
        if isinstance(value, (ast.Name, ast.Attribute, ast.Subscript)):
            self._note(value, is_part=True)

    def _note(self, value: ast.expr, *, is_part: bool = False) -> None:
        """Note that a value, or a part of it, is looked at."""
        *parts, root = parts_of(value)
        if not isinstance(root, ast.Name):
            return  # made in this very expression
        if root.id in self._elements:
            self._note(self._elements[root.id], is_part=True)
        else:
            self.looks.add((root.id, PART if parts or is_part else SELF))


def makes_new(part: ast.AST) -> bool:
    """Tell whether it is a call that makes what it returns: `parts.get("unet")` is none."""
    if not isinstance(part, ast.Call):
        return False
    if isinstance(part.func, ast.Name):
        return not hasattr(builtins, part.func.id)
    return isinstance(part.func, ast.Attribute) and part.func.attr not in LOOKUPS


def parts_of(node: ast.expr) -> list[ast.expr]:
    """Return an access path from its end to its root."""
    found = [node]
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Await, ast.Starred)):
        node = node.func if isinstance(node, ast.Call) else node.value
        found.append(node)
    return found


def _path(node: ast.expr) -> Look | None:
    """Return the root's name and the dotted rest of a path without calls and subscripts."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, ".".join(reversed(names))) if isinstance(node, ast.Name) else None
