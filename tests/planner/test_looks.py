"""What a statement asks of which values, and which values answer without changing."""

from __future__ import annotations

import ast
import types
from typing import Any

import pytest

from rpnb.planner.known import COUNTED, PART, SELF, TEXTS, models
from rpnb.planner.looks import asked, looks
from rpnb.planner.states import State
from tests.planner.differential import difference, differing
from tests.planner.stage import Stage
from tests.planner.version import Version

LOOKS = {
    "model(x)": {("model", "")},
    "out = model.generate(ids, max_new_tokens=4)": {("model", "generate")},
    "v = await model.encode('a')": {("model", "encode")},
    "print(model.encode('a').shape)": {("model", "encode")},
    "assert model(x).shape == (1, 2)": {("model", "")},
    "a, b = model(x), other.predict(y)": {("model", ""), ("other", "predict")},
    "with torch.no_grad():\n    model(torch.zeros(1, 3))": {
        ("torch", "no_grad"), ("model", ""), ("torch", "zeros")},
    "with torch.autocast('cpu') as on:\n    out = model(x)": {("torch", "autocast"), ("model", "")},
    "for _ in range(3):\n    model.encode('a')": {("model", "encode")},
    "for text in texts:\n    model.encode(text)": {("model", "encode")},
    "if DEBUG:\n    model(x)": {("model", "")},
    "y = model(x).logits.argmax(-1).item()": {("model", ""), ("model", PART)},
    "y = tok('a', return_tensors='pt').to('cuda')": {("tok", ""), ("tok", PART)},
    "print(sum(p.numel() for p in model.parameters()))": {("model", PART), ("model", SELF)},
    "print(next(model.parameters()).device)": {("model", SELF)},
    "{k: v.mean() for k, v in model.state_dict().items()}": {("model", PART), ("model", SELF)},
    "names = [i.name for i in session.get_inputs()]": {("session", SELF)},
    "df.head()": {("df", SELF)},
    "print(df['a'].mean(), max(df['a']))": {("df", PART)},
    "print(model.config.to_dict())": {("model", PART)},
    "print('-'.join(tok.tokenize('a')))": {("tok", "tokenize")},
    "a, b = model(x), model": {("model", ""), ("model", PART)},
    "a = [model(x), model.config]": {("model", ""), ("model", PART)},
    "for _ in range(3):\n    n += 1\n    print(n, model(x))": {("n", COUNTED), ("model", "")},
}  # fmt: skip
DOES_MORE = (
    *("model.eval()", "model.half()", "model.fit(x)", "model.x = 1", "model['a'] = model(x)"),
    *("model.unet.to('cuda')", "model(x).backward()", "for p in model.parameters():\n p.zero_()"),
    *("n += model(x)", "del model", "model(x, callback=lambda s: log.append(s))", "load(x).eval()"),
    *("with lock:\n    model(x)", "with pool.open():\n    model(x)", "def f():\n    model(x)"),
    *("class C:\n    v = model(x)", "import torch", "v = model.encoder(x)", "model.encode.warm()"),
)


@pytest.mark.parametrize(("text", "expected"), LOOKS.items())
def test_look_is_found(text: str, expected: set[tuple[str, str]]) -> None:
    assert looks(ast.parse(text).body[0]) == expected


@pytest.mark.parametrize("text", DOES_MORE)
def test_statement_that_does_more_has_no_looks(text: str) -> None:
    assert looks(ast.parse(text).body[0]) == frozenset()


def test_value_that_is_looked_into_is_not_only_asked_for_new_ones() -> None:
    found = looks(ast.parse("a, b = model(x), df.head()").body[0])
    assert asked(found) == {"model"}


class Namespace(dict[str, Any]):
    """Stand-ins for torch's modules, in a package of that name."""

    def __init__(self, library: str = "transformers.models.bert") -> None:
        super().__init__()
        base = type("Module", (), {"__module__": "torch.nn.modules.module"})
        self.cls: Any = type("Net", (base,), {"__module__": library, "modules": _modules})
        self.net = self.cls()
        self.net.training, self.net.parts = False, []

    def answers(self) -> frozenset[str]:
        return models({"net": self.net}).get("net", frozenset())


def _modules(self: Any) -> list[Any]:
    return [self, *vars(self).get("parts", ())]


def test_module_in_eval_state_answers_calls() -> None:
    assert {"", "generate", SELF, PART} <= Namespace().answers()


def test_module_in_training_state_answers_lookups_only() -> None:
    namespace = Namespace()
    namespace.net.training = True
    assert namespace.answers() == {SELF, PART, *TEXTS}


def test_module_with_a_part_in_training_state_answers_lookups_only() -> None:
    namespace, part = Namespace(), Namespace().net
    part.training = True
    namespace.net.parts = [part]
    assert namespace.answers() == {SELF, PART, *TEXTS}


def test_module_of_the_program_answers_nothing() -> None:
    assert not Namespace("__main__").answers()


def test_module_of_a_local_file_answers_nothing() -> None:
    assert not models({"net": Namespace("helper").net}, local=["helper"])


@pytest.mark.parametrize("place", ["_forward_hooks", "_forward_pre_hooks"])
def test_module_with_a_hook_of_the_program_answers_lookups_only(place: str) -> None:
    namespace = Namespace()
    setattr(namespace.net, place, {1: types.FunctionType(_modules.__code__, {"__name__": "x"})})
    assert "" in namespace.answers()
    getattr(namespace.net, place)[1].__module__ = "__main__"
    assert namespace.answers() == {SELF, PART, *TEXTS}


def test_container_answers_lookups_on_itself_and_not_on_its_elements() -> None:
    assert models({"words": ["a"]}) == {"words": {SELF}}


def test_value_of_an_unknown_library_answers_nothing() -> None:
    client = type("Client", (), {"__module__": "unheard_of"})()
    assert not models({"client": client})


@pytest.mark.parametrize(
    "change",
    [
        lambda net: setattr(net, "heard", object()),
        lambda net: net.seen.append(1),
        lambda net: net.table.update(a=2),
        lambda net: delattr(net, "table"),
    ],
)
def test_state_of_a_module_that_changed_is_not_the_same(change: Any) -> None:
    net = Namespace().net
    net.table, net.seen = {"a": object()}, []
    state = State([net], [])
    assert state.is_same()
    change(net)
    assert not state.is_same()


_BASE = (
    "import torchlike\nSEEN = []\ndef note(x):\n    SEEN.append(x)\n"
    "model = torchlike.Net(training=False)\n"
)


def loads(stage: Stage, *texts: str) -> int:
    """Return how often the model is loaded on the way through these programs, none of it stale."""
    with stage.warm() as warm:
        count = 0
        for text in texts:
            version = Version((text,))
            found = warm.sync(version)
            assert not differing(stage.fresh(version), found)
            count += len(found.loads)
    return count


def test_warm_up_in_a_block_comes_and_goes_without_a_load(stage: Stage) -> None:
    block = "for _ in range(2):\n    model('a')\n"
    texts = (_BASE, _BASE + block, _BASE + block.replace("2", "3"), _BASE + "_ = 3")
    assert loads(stage, *texts) == 1


def test_module_that_keeps_what_it_heard_loads_again_without_it(stage: Stage) -> None:
    """As a voice detector: in eval state, and yet another after each call."""
    assert loads(stage, _BASE + "model('keep')", _BASE) == 2


def test_what_a_call_tells_a_function_of_the_program_is_undone(stage: Stage) -> None:
    assert loads(stage, _BASE + "model('a', callback=note)", _BASE) == 1


def test_pure_comment_holds_for_an_object_of_the_program(stage: Stage) -> None:
    text = (
        "import modelkit\nclass Pipe:\n    def __init__(self):\n        self.m = modelkit.LOAD(1)\n"
        "    def __call__(self, x):\n        return x\npipe = Pipe()\n"
    )
    comment = "  # rpnb: pure"
    assert loads(stage, f"{text}pipe('a'){comment}", f"{text}pipe('b'){comment}") == 1


def test_result_that_is_a_part_is_an_alias(stage: Stage) -> None:
    """`get` hands out a part: changing it changes the dictionary."""
    text = "table = {'a': [1]}\nrow = table.get('a')\n"
    assert loads(stage, text + "row.append(2)", text) == 0


@pytest.mark.parametrize(
    "lines",
    [
        "a, b = model('x'), model\nb.train()\n",
        "b = model if model('x') else 1\nb.weight = 5\n",
        "b = [model('x'), {'m': model}]\nb[1]['m'].train()\n",
    ],
)
def test_value_that_stands_beside_its_call_is_an_alias(stage: Stage, lines: str) -> None:
    texts = (_BASE + lines, _BASE, _BASE + lines)
    assert not difference(stage, [Version((text,)) for text in texts])


@pytest.mark.parametrize(
    "look", ["linalg.norm(v, axis=1).mean()", "unique(v)", "sum(v), np.std(v)"]
)
def test_look_at_an_array_comes_and_goes_and_nothing_is_loaded(look: str) -> None:
    text = "import numpy as np\nimport modelkit\nv = np.ones((2, 3))\nm = modelkit.LOAD(v)\n"
    handler = "def handler(job): return repr(m)"
    texts = [f"{text}{handler}", f"{text}print(np.{look})\n{handler}", f"{text}{handler}"]
    with Stage() as stage, stage.warm() as warm:
        assert [len(warm.sync(Version((each,))).loads) for each in texts] == [1, 0, 0]
