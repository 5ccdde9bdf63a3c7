"""Everything that is wrong with the cells, said at once."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ProgramError


def raise_all(problems: Sequence[ProgramError]) -> None:
    """Raise the problems as one error; return if there are none.

    One problem is raised as it is, several of one kind as one of that kind.

    Raises:
        ProgramError: there is at least one.
    """
    if problems:
        raise joined(problems)


def joined(problems: Sequence[ProgramError]) -> ProgramError:
    """Return one or several problems as one error, of their kind if they have one."""
    if len(problems) == 1:
        return problems[0]
    kinds = {type(problem) for problem in problems}
    kind = kinds.pop() if len(kinds) == 1 else ProgramError
    listed = "\n".join(f"- {problem}".replace("\n", "\n  ") for problem in problems)
    return kind(f"{len(problems)} problems, nothing was sent:\n{listed}")
