"""A program's top-level statements: their exact text, their place, their identity."""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
from dataclasses import dataclass, field, replace
from functools import lru_cache

_PRAGMA = re.compile(r"#\s*rpnb:\s*(pure|keep)\b")
_NEEDS = re.compile(r"#\s*rpnb:\s*needs\s+(\w+(?:\s*,\s*\w+)*)")
# Comments and layout re-run nothing; NEWLINE, INDENT and DEDENT carry the structure.
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
_SHAPE = {tokenize.NEWLINE: "\n", tokenize.INDENT: "\t", tokenize.DEDENT: "\b"}


@dataclass(frozen=True)
class Statement:
    """One top-level statement; lines are those of the text it was split from.

    `node` keeps these lines, so that compiling it gives right tracebacks.
    `pragmas` holds `pure` and `keep` where a comment at the statement's end says so,
    `needs` the names that one says it uses: a pickle refers to what it was made of.
    """

    text: str
    first_line: int
    last_line: int
    node: ast.stmt = field(compare=False, repr=False)
    pragmas: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()

    @property
    def identity(self) -> str:
        """What two statements share when only comments and layout differ."""
        return identity(self.text)


def split(text: str) -> list[Statement]:
    """Return the top-level statements of `text`, in order.

    Raises:
        SyntaxError: the running Python cannot parse it.
    """
    # `splitlines` would also cut at form feeds and Unicode separators, ast does not.
    lines = [line.encode() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    body = ast.parse(text).body
    has_global = "global" in text and any(map(_is_global, body))
    if has_global or ("__future__" in text and _has_late_future(body)):
        # `x = 1` and `global x` below it: an error that no statement shows alone.
        compile(text, "handler.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return [_statement(node, lines) for node in body]


def _has_late_future(body: list[ast.stmt]) -> bool:
    """Tell whether `from __future__` stands below anything but its like and a text."""
    futures = [i for i, n in enumerate(body) if getattr(n, "module", "") == "__future__"]
    first = body[:1] if body and ast.get_docstring(ast.Module(body, [])) is not None else []
    return bool(futures) and futures[-1] >= len(futures) + len(first)


def _is_global(node: ast.AST) -> bool:
    """Tell whether a `global` statement stands outside of functions."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    return isinstance(node, ast.Global) or any(map(_is_global, ast.iter_child_nodes(node)))


def _statement(node: ast.stmt, lines: list[bytes]) -> Statement:
    first, column = node.lineno, node.col_offset
    for decorator in getattr(node, "decorator_list", ()):
        if decorator.lineno < first:
            # The `@` stands before the expression; a decorator begins its line.
            first, column = decorator.lineno, 0
    last, end = node.end_lineno or first, node.end_col_offset or 0
    body = [*lines[first - 1 : last]]
    tail = body[-1][end:].decode()
    body[-1] = body[-1][:end]
    body[0] = body[0][column:]
    text = b"\n".join(body).decode()
    if not tail.lstrip().startswith("#"):
        return Statement(text, first, last, node)
    pragmas = frozenset(_PRAGMA.findall(tail))
    needs = frozenset(n.strip() for names in _NEEDS.findall(tail) for n in names.split(","))
    return Statement(text, first, last, node, pragmas, needs)


def apart(statement: Statement) -> list[Statement]:
    """Return the imports that one statement is: `import a, b` is two.

    So a name more, or less, runs nothing for the others.
    """
    node = statement.node
    if not isinstance(node, (ast.Import, ast.ImportFrom)) or len(node.names) == 1:
        return [statement]
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return [statement]
    parts = [ast.copy_location(_importing(node, alias), node) for alias in node.names]
    return [replace(statement, node=part, text=ast.unparse(part)) for part in parts]


def _importing(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    if isinstance(node, ast.Import):
        return ast.Import(names=[alias])
    return ast.ImportFrom(module=node.module, names=[alias], level=node.level)


@lru_cache(maxsize=20_000)
def identity(text: str) -> str:
    """Return 16 hex digits that only a change of tokens changes, no comment or layout does."""
    try:
        parts = [
            _SHAPE.get(token.type, token.string)
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type not in _LAYOUT
        ]
    except (tokenize.TokenError, SyntaxError):
        parts = [text]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
