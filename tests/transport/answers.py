"""A person for tests: gives prepared answers, and remembers what was asked."""

from __future__ import annotations


class Answers:
    """Answers the questions in order; None, nobody answers, when there are no more."""

    def __init__(self, *answers: str) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)

    def __call__(self, question: str) -> str | None:
        self.asked.append(question)
        return self._answers.pop(0) if self._answers else None
