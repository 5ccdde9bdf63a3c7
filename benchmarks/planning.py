"""How long a plan takes: splitting a program of 200 statements, and planning an edit of one.

    python -m benchmarks.planning

Processor time, so that a busy machine shows less: the fastest and the slowest round are told.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from rpnb.planner.plan import Executed, plan, steps

# What a serving notebook is made of: a load, what is done to it, helpers, a warm-up.
_PART = """\
NAME{0} = "org/model-{0}"
tok{0} = load(NAME{0})
tok{0}.pad_token = tok{0}.eos_token
model{0} = load(NAME{0}, device="cuda")
model{0}.eval()
def clean{0}(text):
    return text.strip()
def answer{0}(prompt):
    return clean{0}(tok{0}.decode(model{0}.generate(tok{0}(prompt))))
warm{0} = answer{0}("hello")
"""
_CODE = ("load", *(f"{name}{i}" for name in ("clean", "answer") for i in range(100)))


def program(parts: int) -> str:
    """Return a program of eight statements for each part, and one more."""
    return "from lib import load\n" + "".join(_PART.format(i) for i in range(parts))


def edit(parts: int, rounds: int) -> list[float]:
    """Return the seconds from a text, one constant of which was edited, to its plan."""
    text = program(parts)
    ran = [Executed(step, binds=step.facts.binds) for step in steps(text)]
    names = {name for each in ran for name in each.binds}
    kinds = {name: "code" if name in _CODE else "data" for name in names}
    kinds.update({name: "imm" for name in names if name.startswith("NAME")})
    samples = []
    for number in range(rounds):
        edited = text.replace("org/model-1", f"org/edited-{number}", 1)
        began = time.process_time()
        todo = plan(ran, steps(edited), kinds=kinds)
        samples.append(time.process_time() - began)
        assert 0 < len(todo.run) < len(ran)
    return samples


def measure(say: Callable[[str, str, str], None], *, quick: bool) -> None:
    """Measure 200 statements, and 400 to show how it grows."""
    for parts, target in ((25, "target: < 10 ms"), (50, "")):
        samples = edit(parts, 10 if quick else 40)
        median, low, high = (f(samples) * 1e3 for f in (statistics.median, min, max))
        figure = f"{median:.1f} ms"
        say(f"the plan of an edit, {8 * parts} statements ({low:.1f}-{high:.1f})", figure, target)


if __name__ == "__main__":
    measure(lambda *row: print("  {:<58} {:>12}   {}".format(*row)), quick=False)
