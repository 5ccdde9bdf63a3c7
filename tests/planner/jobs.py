"""Programs whose jobs memoise and load lazily: after each edit warm answers equal fresh ones."""

from __future__ import annotations

import random

from tests.planner import library, modelkit
from tests.planner.differential import Tally
from tests.planner.warm import Fresh, Warm

_FIXED = [
    "import modelkit, functools",
    "M = None\nCACHE = {}\nMODELS = {}\nBOX = []\nmemo = {}",
    "class S:\n    one = None\n    @classmethod\n    def get(cls):\n        if S.one is None:\n"
    "            S.one = modelkit.LOAD(y)\n        return S.one",
]
_SLOTS: dict[str, list[str]] = {
    "x": ["x = $n"],
    "y": ["y = $n"],
    "m1": ["m1 = modelkit.LOAD(1)", "m1 = modelkit.LOAD(x)"],
    "get": [
        "def get():\n    global M\n    if M is None:\n        M = modelkit.LOAD(x)\n    return M",
        "def get():\n    return m1",
        "def get(n=1):\n    if n not in MODELS:\n        MODELS[n] = modelkit.LOAD(y)\n"
        "    return MODELS[n]",
        "def get():\n    if not BOX:\n        BOX.append(modelkit.LOAD((x, $n)))\n"
        "    return BOX[0]",
        "def get():\n    return S.get()",
        "def get():\n    box = BOX\n    if not box:\n        box.append(modelkit.LOAD(y))\n"
        "    return box[0]",
        "@functools.lru_cache(maxsize=None)\ndef get():\n    return modelkit.LOAD((y, $n))",
    ],
    "f": [
        "def f(k):\n    return k * x + $n",
        "def f(k):\n    return (k, y, $n)",
        "@functools.lru_cache\ndef f(k):\n    return k * x + $n",
        "def f(k):\n    return get().run(k)",
        "f = lambda k: (k, x, $n)",
    ],
    "handler": [
        "def handler(k):\n    if k not in CACHE:\n        CACHE[k] = f(k)\n    return CACHE[k]",
        "def handler(k):\n    return f(k), $n",
        "def handler(k):\n    return get().run(k), f(k)",
        "def handler(k):\n    return CACHE.setdefault(k, f(k))",
        "def handler(k):\n    try:\n        return memo[k]\n    except KeyError:\n"
        "        memo[k] = (f(k), y)\n        return memo[k]",
        "def handler(k):\n    if not hasattr(handler, 'c'):\n        handler.c = f(0)\n"
        "    return handler.c, k",
        "def handler(k):\n    seen = CACHE.setdefault('seen', {})\n    if k not in seen:\n"
        "        seen[k] = f(k)\n    return seen[k], $n",
    ],
}
_OFTEN = ["x", "y", "f", "get", "handler", "handler", "handler", "m1"]


def _pick(rng: random.Random, slot: str) -> str:
    return rng.choice(_SLOTS[slot]).replace("$n", rng.choice("123"))


def try_jobs(seed: int, tally: Tally, edits: int = 6) -> str:
    """Try one series; return what differs, if anything."""
    rng = random.Random(seed)
    slots = {slot: _pick(rng, slot) for slot in _SLOTS}
    warm, fresh = Warm(library.PROBES), Fresh(library.PROBES)
    for number in range(edits + 1):
        if number:
            slot = rng.choice(_OFTEN)
            slots[slot] = _pick(rng, slot)
        text = "\n".join([*_FIXED, *slots.values()])
        loads = modelkit.loads
        error = warm.sync(text)
        assert error is None, error
        answers = [warm.job("handler", k) for k in (1, 2, 1)]
        warm_loads, loads = modelkit.loads - loads, modelkit.loads
        fresh.sync(text)
        expected = [fresh.namespace["handler"](k) for k in (1, 2, 1)]
        if number:
            tally.edits += 1
            tally.steps += len(warm.ran)
            tally.steps_fresh += fresh.ran
            tally.loads += warm_loads
            tally.loads_fresh += modelkit.loads - loads
        if answers != expected:
            tally.stale += 1
            tally.seeds.append(seed)
            return f"edit {number}: {answers}, fresh {expected}\n{text}"
    return ""
