"""What classes and decorators keep, after an edit: as in a fresh process.

Each program ends with `SEEN`, what it sees of itself; the edit is made warm, and the
whole program is run fresh beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.planner.stage import Outcome, Stage
from tests.planner.version import Version


@dataclass(frozen=True)
class Edit:
    """A program, and the text in it that is replaced."""

    about: str
    program: str
    old: str
    new: str


SUBCLASSES = """
class Plugin:
    pass
class Upper(Plugin):
    name = "upper"
class Lower(Plugin):
    name = "lower"
class Lowest(Lower):
    name = "lowest"
def every(cls):
    return [c.name for s in cls.__subclasses__() for c in [s, *s.__subclasses__()]]
SEEN = every(Plugin)
"""
HOOK = """
REGISTRY = {}
class Plugin:
    def __init_subclass__(cls, /, key=None, **rest):
        super().__init_subclass__(**rest)
        REGISTRY[key] = cls
class Upper(Plugin, key="upper"):
    def run(self):
        return 1
class Lower(Plugin, key="lower"):
    def run(self):
        return 2
SEEN = [(key, cls().run()) for key, cls in REGISTRY.items()]
"""
METACLASS = """
class Meta(type):
    known = []
    def __new__(mcs, name, bases, body):
        cls = super().__new__(mcs, name, bases, body)
        mcs.known.append(name)
        return cls
class Upper(metaclass=Meta):
    pass
class Lower(metaclass=Meta):
    pass
SEEN = list(Meta.known)
"""
DECORATED = """
ROUTES = {}
def route(path):
    def keep(f):
        ROUTES[path] = f
        return f
    return keep
@route("/a")
def _():
    return 1
@route("/b")
def _():
    return 2
SEEN = [(path, f()) for path, f in ROUTES.items()]
"""
DISPATCH = """
import functools
@functools.singledispatch
def show(value):
    return "?"
@show.register
def _(value: int):
    return f"int {value}"
@show.register(str)
def _(value):
    return f"str {value}"
SEEN = [show(1), show("a"), show(None), sorted(map(str, show.registry))]
"""
CACHED = """
import functools
FACTOR = 2
CALLS = []
def scale(n):
    CALLS.append(n)
    return n * FACTOR
@functools.lru_cache(maxsize=None)
def scaled(n):
    return scale(n)
FIRST = scaled(1), scaled(1)
SEEN = [FIRST, scaled(3), list(CALLS), scaled.cache_info().currsize]
"""
CACHED_PROPERTY = """
import functools
BASE = 2
class Table:
    @functools.cached_property
    def rows(self):
        return [BASE]
    @functools.lru_cache
    def row(self, n):
        return self.rows[0] + n
table = Table()
table.row(1)
SEEN = [table.rows, table.row(1), table.row(2)]
"""
ENUM = """
import enum
class Mode(enum.Enum):
    FAST = 1
    SLOW = 2
DEFAULT = Mode.FAST
NAMES = {Mode.FAST: "fast", Mode.SLOW: "slow"}
SEEN = [NAMES[DEFAULT], isinstance(DEFAULT, Mode), [m.name for m in Mode]]
"""
ABSTRACT = """
import abc
class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...
class Square(Shape):
    def area(self):
        return 4
@Shape.register
class Point:
    pass
SEEN = [isinstance(Point(), Shape), issubclass(Square, Shape), Square().area()]
"""
NUMBERS = """
import numbers
class Money:
    amount = 1
numbers.Number.register(Money)
SEEN = [isinstance(Money(), numbers.Number), Money.amount]
"""
DATACLASS = """
import dataclasses
@dataclasses.dataclass
class Options:
    steps: int = 4
    tags: list = dataclasses.field(default_factory=list)
@dataclasses.dataclass
class More(Options):
    scale: float = 1.0
DEFAULTS = More()
DEFAULTS.tags.append("x")
SEEN = [repr(DEFAULTS), isinstance(DEFAULTS, Options), dataclasses.asdict(More())]
"""
PYDANTIC = """
from typing import Annotated, List, Literal, Union
from pydantic import BaseModel, Field, TypeAdapter, field_validator
class Size(BaseModel):
    kind: Literal["size"] = "size"
    width: int = 512
class Prompt(BaseModel):
    kind: Literal["prompt"] = "prompt"
    text: str
    sizes: List[Size] = []
    @field_validator("text")
    @classmethod
    def _clean(cls, value):
        return value.strip()
Any = TypeAdapter(Annotated[Union[Size, Prompt], Field(discriminator="kind")])
DEFAULT = Prompt(text=" fox ", sizes=[Size()])
SEEN = [
    Any.validate_python({"kind": "size"}).model_dump(),
    Any.validate_python({"kind": "prompt", "text": " a "}).model_dump(),
    DEFAULT.model_dump(),
    isinstance(DEFAULT.sizes[0], Size),
]
"""
PYDANTIC_LATER = """
from __future__ import annotations
from pydantic import BaseModel
class Node(BaseModel):
    value: int = 1
    child: Node | None = None
class Tree(BaseModel):
    root: Node
    limit: int = 3
TREE = Tree(root={"child": {}})
SEEN = [TREE.model_dump(), isinstance(TREE.root, Node)]
"""
NAMED = """
import typing, collections
class Row(typing.NamedTuple):
    a: int
    b: int = 2
Old = collections.namedtuple("Old", "x y")
@typing.runtime_checkable
class Runs(typing.Protocol):
    def run(self): ...
class Job:
    def run(self):
        return Row(1)
ROWS = [Row(1), Old(1, 2)]
SEEN = [ROWS, isinstance(Job(), Runs), Job().run() == ROWS[0]]
"""
DESCRIPTOR = """
FIELDS = []
class Field:
    def __set_name__(self, owner, name):
        FIELDS.append((owner.__name__, name))
class Model:
    a = Field()
    b = Field()
SEEN = list(FIELDS)
"""

EDITS = [
    Edit("subclass", SUBCLASSES, '"upper"', '"UPPER"'),
    Edit("subclass of a subclass", SUBCLASSES, '"lowest"', '"LOWEST"'),
    Edit("subclass gone", SUBCLASSES, 'class Upper(Plugin):\n    name = "upper"\n', ""),
    Edit("subclass new", SUBCLASSES, "def every", "class More(Plugin):\n    name = 'm'\ndef every"),
    Edit("hook", HOOK, "return 1", "return 10"),
    Edit("hook's key", HOOK, 'key="upper"', 'key="top"'),
    Edit("hook gone", HOOK, 'class Lower(Plugin, key="lower"):', "class Lower:"),
    Edit("metaclass", METACLASS, "class Upper", "class Top"),
    Edit("metaclass gone", METACLASS, "class Lower(metaclass=Meta)", "class Lower"),
    Edit("decorator", DECORATED, "return 1", "return 10"),
    Edit("decorator's path", DECORATED, '"/a"', '"/c"'),
    Edit("decorator gone", DECORATED, '@route("/b")\n', ""),
    Edit("dispatch", DISPATCH, "int {value}", "INT {value}"),
    Edit("dispatch on another type", DISPATCH, "value: int", "value: float"),
    Edit("dispatch gone", DISPATCH, "@show.register(str)\n", ""),
    Edit("dispatch's default", DISPATCH, '"?"', '"!"'),
    Edit("cache's helper", CACHED, "n * FACTOR", "n + FACTOR"),
    Edit("cache's constant", CACHED, "FACTOR = 2", "FACTOR = 3"),
    Edit("cache's size", CACHED, "maxsize=None", "maxsize=1"),
    Edit("cached property", CACHED_PROPERTY, "BASE = 2", "BASE = 5"),
    Edit("cached method", CACHED_PROPERTY, "+ n", "- n"),
    Edit("enum's value", ENUM, "FAST = 1", "FAST = 3"),
    Edit("enum's member", ENUM, "SLOW = 2\n", "SLOW = 2\n    SLOWER = 3\n"),
    Edit("abstract class", ABSTRACT, "return 4", "return 9"),
    Edit("registration gone", ABSTRACT, "@Shape.register\n", ""),
    Edit("registered class", ABSTRACT, "class Point:\n    pass", "class Point:\n    x = 1"),
    Edit("library's registration", NUMBERS, "amount = 1", "amount = 2"),
    Edit("library's registration gone", NUMBERS, "numbers.Number.register(Money)\n", ""),
    Edit("dataclass", DATACLASS, "steps: int = 4", "steps: int = 8"),
    Edit("dataclass's child", DATACLASS, "scale: float = 1.0", "scale: float = 2.0"),
    Edit("default's change", DATACLASS, 'append("x")', 'append("y")'),
    Edit("pydantic's default", PYDANTIC, "width: int = 512", "width: int = 1024"),
    Edit("pydantic's validator", PYDANTIC, "value.strip()", "value.strip().upper()"),
    Edit("pydantic's field", PYDANTIC, "text: str\n", "text: str\n    seed: int = 1\n"),
    Edit("pydantic, lazy names", PYDANTIC_LATER, "value: int = 1", "value: int = 2"),
    Edit("pydantic, lazy parent", PYDANTIC_LATER, "limit: int = 3", "limit: int = 4"),
    Edit("named tuple", NAMED, "b: int = 2", "b: int = 3"),
    Edit("protocol", NAMED, "def run(self): ...", "def go(self): ..."),
    Edit("descriptor", DESCRIPTOR, "    b = Field()", "    c = Field()"),
]


@pytest.fixture(scope="module")
def with_pydantic() -> Iterator[Stage]:
    """Processes that have pydantic already."""
    with Stage(preload=("pydantic",)) as found:
        yield found


def _seen(outcome: Outcome) -> tuple[str, object]:
    return outcome.error, outcome.state.get("SEEN")


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.about)
def test_edit_and_its_undoing_are_seen_as_in_a_fresh_process(
    with_pydantic: Stage, edit: Edit
) -> None:
    assert edit.program.count(edit.old) == 1
    edited = edit.program.replace(edit.old, edit.new)
    with with_pydantic.warm() as warm:
        for program in (edit.program, edited, edit.program):
            version = Version((program.strip("\n"),))
            assert _seen(warm.sync(version)) == _seen(with_pydantic.fresh(version))
