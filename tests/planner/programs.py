"""Random programs in a hostile part of Python, and random edits of them.

In a template `$d` stands for the name of a container, `$s` a scalar, `$f` a
function, `$m` a model, `$k` a class, `$n` a number, `$v` any of them; with a
digit (`$d1`) it is the same name each time within the statement.
"""

from __future__ import annotations

import random
import re
import signal
from contextlib import contextmanager
from typing import Any, Iterator

from tests.planner import library
from tests.planner.warm import new_module

_NAMES = {
    "d": ["a", "b", "c", "d"],
    "s": ["x", "y"],
    "f": ["f", "g", "h"],
    "m": ["m1", "m2"],
    "k": ["C", "E"],
    "n": ["1", "2", "3"],
}
_NAMES["v"] = [*_NAMES["d"], *_NAMES["s"], *_NAMES["m"], *_NAMES["f"], *_NAMES["k"], "L"]

PRELUDE = [
    "import modelkit",
    "import copy, contextlib, dataclasses, functools, collections, enum, os, random",
    "random.seed(1)",
    "a = [1]",
    "b = {'k': [2]}",
    "c = [3]",
    "d = [a]",
    "x = 1",
    "y = 2",
    "L = []",
    "m1 = modelkit.LOAD(1)",
    "m2 = modelkit.LOAD(2)",
    "def f(v):\n    return [v, x]",
    "def g(v):\n    a.append(1)\n    return a",
    "h = f",
    "class C:\n    reg = []\n    def add(self, v):\n        self.reg.append(v)\n        return v",
    "class E(C):\n    w = 1",
]
LAST = "def handler(job):\n    return [x, y]"

_VALUES = """
$s = $n
$s = $s + $n
$s += $n
$s: int = $n
$d = []
$d = [$n, $s]
$d = {'k': $v}
$d = $v
$d = [$d, $v]
$d = ($v, $s)
$d = list($d)
$d = {**$d}
$d = [q for q in $d]
$d = [$s for _ in range($n)]
$d = [($s := $n), $s]
$d = (q for q in $d)
$d = ([q, $s] for q in $d)
$d = iter($d)
$s = next($d, 0)
$d, $s = [$n], $n
$d = sorted([$n, 1])
$s = len($d)
$s = f'{$s}-{$n}'
$d = copy.copy($d)
$d = copy.deepcopy($d)
$d = collections.deque([$n])
$d = collections.defaultdict(list)
$d['k'].append($n)
$s = len($d['k'])
$d = max([$d, $d], key=len)
$d = $d if $s == $n else [$d]
$d = $d.pop() if $d else []
$d = map($f, $d)
$d = zip($d, [$n])
del $d
del $s
del $d[0]
$s = modelkit.Q1
$d = modelkit.CONF
"""
_CHANGES = """
$d.append($v)
$d += [$n]
$d['k'] = $v
$d[0] = $n
$d[0].append($n)
$d.extend([$n, $d])
$d[$n:] = [$s]
$d.z = $n
$d.add($n)
$d.q = $v
$f.z = $d
$f.z = $n
setattr($v, 'z', $d)
globals()['$s'] = $n
exec('$d = [$n]')
$f($v).append($n)
$f($v)[0] = $n
$d = $f($v)
$f($v)
$f = $f
$d = $d()
$f = $f($d)
$d = functools.partial($f, $d)
$s = $d + $n
[q.append($n) for q in [$d, $d]]
(lambda q: q.append($n))($d)
(lambda: $d.append($n))()
"""
_MODELS = """
$m = modelkit.LOAD($n)
$m = modelkit.LOAD($s)
$m.eval()
$m.cfg['v'] = $s
$m.attach($v)
$m = $m.attach($d)
$s = $m.run($n)
$d = $m.state
$d = $m.cfg
$m = $f($s)
modelkit.set_seed($n)
modelkit.seed = $n
modelkit.CONF['v'] = $n
modelkit.CONF.update(v=$n)
os.environ['RPNB_TEST_HOME'] = '$n'
os.environ.setdefault('RPNB_TEST_HOME', '$n')
os.environ.pop('RPNB_TEST_HOME', None)
random.seed($n)
$s = modelkit.draw()
$d = [modelkit.draw(), $s]
random.random()
from modelkit import *
from modelkit import Q1 as x
from modelkit import set_seed
$s = Q1
import copy
import functools
os.makedirs('/tmp', exist_ok=True)
print(end=str($s)[:0])
$d
$m
"""
# Separated by blank lines, as they have several lines each.
_BLOCKS = """
def $f(v):
    return [v, $s]

def $f(v):
    $d1.append($n)
    return $d1

def $f(v):
    v.append($n)
    return v

def $f(v):
    w = $d
    w.append($n)
    return w

def $f(v):
    for w in [$d, $d]:
        w.append($n)
    return w

def $f(v):
    return $d

def $f(v):
    global $s1
    $s1 = $n
    return $s1

def $f(v=$d):
    return v

def $f(v: $s = $n) -> $k:
    return $f(v)

def $f(v):
    return modelkit.LOAD($s)

def $f(v):
    modelkit.set_seed($n)
    return v

def $f(v):
    yield v
    $d.append($n)
    yield $s

def $f(v):
    import copy
    return copy.copy($d)

def $f(v):
    def inner():
        return v, $s
    return inner

def $f(v):
    n = 0
    def inner():
        nonlocal n
        n += 1
        return [n, $d]
    return inner

$f = lambda v: [v, $s, $n]

def deco(fn):
    L.append(fn)
    return fn

def deco(fn):
    fn(L)
    return fn

@deco
def $f(v):
    return $s

@functools.lru_cache
def $f(v=1):
    return [$d, $s]

@functools.wraps($f)
def $f(v):
    return $d

@functools.singledispatch
def $f(v):
    return $d

@$f.register
def _(v: str):
    return $n

@contextlib.contextmanager
def ctx(v):
    v.append(1)
    yield v
    v.append(2)

with ctx($d) as $d:
    $s = $n

class C:
    reg = []
    def add(self, v):
        self.reg.append(v)
        return self

class C:
    k = $s
    def add(self, v):
        $d.append($n)
        return $s

class C:
    def __init__(self, v=$n):
        self.q = [v]
    def add(self, v):
        self.q.append(v)
        return self.q
    def __add__(self, o):
        $d.append(o)
        return 1

class C:
    reg = []
    def __init_subclass__(cls):
        C.reg.append(cls.__name__)
        $d.append($n)
    def add(self, v):
        return $s

class C:
    @property
    def q(self):
        $d.append($n)
        return $d
    def add(self, v):
        return self.q

class C:
    one = None
    @classmethod
    def add(cls, v):
        C.one = $d
        return cls.one

class C(enum.Enum):
    A = $n
    B = $s

class Meta(type):
    seen = []
    def __new__(mcs, name, bases, body):
        mcs.seen.append(name)
        return super().__new__(mcs, name, bases, body)

class C(metaclass=Meta):
    w = $n
    def add(self, v):
        return self

@dataclasses.dataclass
class C:
    q: list
    k: int = $n
    def add(self, v):
        self.q.append(v)

class E(C):
    w = $n

class E(C):
    own = $d
    def add(self, v):
        self.own.append($s)
        return super().add(v)

C.reg.append($n)

C.k = $s

C.add = $f

$d = C()

$d = C($d)

$d = E()

$d = C().add($n)

for $s1 in range($n):
    $d.append($s1)

for z in $d1:
    $d1.append(1)
    break

while len($d1) < 3:
    $d1.append($s)

if $s > 1:
    $s = $n
else:
    $d = [$n]

if $s > 1:
    def $f(v):
        return $d
else:
    $f = $f

try:
    $s = $d[0]
except Exception:
    $s = $n

try:
    $d.append($v)
except (NameError, AttributeError) as problem:
    $d = [$n]
finally:
    $s = $n

match $s:
    case 1:
        $s = 2
    case y:
        pass

match $d:
    case [z, *rest]:
        $d = rest
    case {'k': z}:
        $d = z
"""
TEMPLATES = [
    *(line for line in (_VALUES + _CHANGES + _CHANGES + _MODELS).split("\n") if line),
    *(block.strip("\n") for block in _BLOCKS.split("\n\n")),
]


def statement(rng: random.Random) -> str:
    """Return a random statement."""
    chosen: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        sort, again = found.groups()
        picked = rng.choice(_NAMES[sort])
        return chosen.setdefault(found.group(), picked) if again else picked

    return re.sub(r"\$([dsfmknv])(\d?)", name, rng.choice(TEMPLATES))


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def is_running(program: list[str]) -> bool:
    """Tell whether the program runs to its end in a new namespace."""
    state = library.save()
    library.reset()
    try:
        with _limit(0.5):
            exec("\n".join(program), vars(new_module()))
    except Exception:  # noqa: BLE001 (whatever it raises)
        return False
    finally:
        library.load(state)
    return True


def program(rng: random.Random, longest: int = 14) -> list[str]:
    """Return a random program, as a list of statements; it runs."""
    found = list(PRELUDE)
    for _ in range(rng.randrange(4, longest)):
        for _ in range(8):
            longer = [*found, statement(rng)]
            if is_running(longer):
                found = longer
                break
    return [*found, LAST]


def edited(rng: random.Random, old: list[str]) -> list[str]:
    """Return the program with one random edit; one in ten may raise."""
    for attempt in range(12):
        new = _edit(rng, list(old))
        if new != old and (is_running(new) or (attempt == 2 and rng.random() < 0.1)):
            return new
    return old


# The imports and the seed stay: unseeded programs cannot be compared.
_FIXED = 3


def _edit(rng: random.Random, steps: list[str]) -> list[str]:
    sort = rng.choice(["change", "change", "insert", "delete", "swap", "copy", "constant"])
    place, other = rng.randrange(_FIXED, len(steps)), rng.randrange(_FIXED, len(steps))
    if sort == "change":
        steps[place] = statement(rng)
    elif sort == "insert":
        steps.insert(place, statement(rng))
    elif sort == "delete":
        del steps[place]
    elif sort == "swap":
        steps[place], steps[other] = steps[other], steps[place]
    elif sort == "copy":
        steps.insert(other, steps[place])
    else:
        place = rng.randrange(2, len(steps))
        numbers = [m.start() for m in re.finditer(r"(?<![\w.])[123]\b", steps[place])]
        if numbers:
            at = rng.choice(numbers)
            steps[place] = steps[place][:at] + rng.choice("123") + steps[place][at + 1 :]
    return steps
