import time

import pytest

from rpnb.errors import BadSyntax, NoHandler
from rpnb.program import start_call
from rpnb.program.cells import Cell, Cells, Magic, handler_name, parse_magic

MAGICS = {
    "%%runpod_setup model\nx = 1": Magic("setup", "model", "x = 1", 2),
    "# %%runpod_setup model --again\nx = 1": Magic("setup", "model --again", "x = 1", 2),
    "#%%runpod_handler\ndef f(): ...": Magic("handler", "", "def f(): ...", 2),
    "\n\n%%runpod_remote\nx": Magic("remote", "", "x", 4),
    "%%time\n%%runpod_setup\nx = 1": Magic("setup", "", "x = 1", 3),
    "%%capture out\n# %%runpod_test fox\n{}": Magic("test", "fox", "{}", 3),
    "%%runpod_setup": Magic("setup", "", "", 2),
    '%%runpod_handler --input {"a": 1}  \nx': Magic("handler", '--input {"a": 1}', "x", 2),
    "%%runpod_setup\r\nx = 1\r\n": Magic("setup", "", "x = 1\n", 2),
}
NO_MAGICS = [
    "x = 1\n%%runpod_setup",
    "%%runpod_setups\nx",
    "%runpod_setup\nx",
    "# about %%runpod_setup\nx",
    "%%time\nx = 1\n%%runpod_setup",
    "",
]


@pytest.mark.parametrize("text", MAGICS)
def test_magic_is_found_with_its_line_and_body(text):
    assert parse_magic(text) == MAGICS[text]


@pytest.mark.parametrize("text", NO_MAGICS)
def test_other_cells_have_no_magic(text):
    assert parse_magic(text) is None


def cell(source, *, id="", kind="setup", name="", label=""):  # noqa: A002 - Cell's own word
    return Cell(id, kind, name, label, source, 2)


def sources(cells):
    return [each.source for each in cells]


def test_cell_with_the_same_id_replaces():
    cells = Cells([cell("a = 1", id="x"), cell("b = 1", id="y")])
    cells.put(cell("c = 1", id="x"))
    assert sources(cells) == ["c = 1", "b = 1"]


def test_cells_with_different_ids_are_different_however_alike():
    cells = Cells([cell("a = 1", id="x"), cell("a = 1", id="y")])
    assert len(cells) == 2


def test_cell_without_id_replaces_by_name():
    cells = Cells([cell("a = load('x')", name="model")])
    cells.put(cell("import torch", name="model"))
    assert sources(cells) == ["import torch"]


def test_cell_without_id_replaces_by_likeness():
    cells = Cells([cell("model = load('tiny', device='cpu')\nmodel.eval()"), cell("import os")])
    cells.put(cell("model = load('large', device='cpu')\nmodel.eval()"))
    assert sources(cells) == ["model = load('large', device='cpu')\nmodel.eval()", "import os"]


def test_cells_that_bind_other_names_are_not_alike():
    cells = Cells([cell("a = load('a')"), cell("b = load('b')")])
    assert len(cells) == 2


def test_handler_is_not_like_a_setup_cell():
    cells = Cells([cell("def f(x): return x"), cell("def f(x): return x", kind="handler")])
    assert len(cells) == 2


def test_replacement_keeps_the_id_of_the_first():
    cells = Cells()
    first = cells.put(cell("a = 1"))
    assert cells.put(cell("a = 2")).id == first.id != ""


def test_new_ids_are_never_used_twice():
    cells = Cells([cell("a = 1"), cell("b = 1")])
    cells.drop("cell:1")
    cells.put(cell("c = 1"))
    assert [each.id for each in cells] == ["cell:2", "cell:3"]


def test_cell_is_another_cells_earlier_version_only_among_those_that_may_be():
    cells = Cells([cell("a = 1", id="x", name="model"), cell("a = 1", id="y", name="model")])
    cells.put(cell("a = 2", name="model"), among={"y"})
    cells.put(cell("a = 3", id="z", name="model"), among=())
    assert [(each.id, each.source) for each in cells] == [
        ("x", "a = 1"),
        ("y", "a = 2"),
        ("z", "a = 3"),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pipe.use_slicing()", "pipe.use_tiling()"),
        ("import torch", "import os"),
        ("x = load('a')", "x = prepare(x)"),
        ("pipe = pipe.half()", "pipe = pipe.cuda()"),
    ],
)
def test_step_typed_after_another_is_a_step_of_its_own(old, new):
    cells = Cells([cell(old)])
    cells.put(cell(new))
    assert sources(cells) == [old, new]


def test_cell_with_ipython_syntax_replaces_by_likeness():
    cells = Cells([cell("%pip install a\nx = load('a', device=3)")])
    cells.put(cell("%pip install a\nx = load('b', device=3)"))
    assert sources(cells) == ["%pip install a\nx = load('b', device=3)"]


def repeated(line, size):
    return f"{line}\n" * (size // (len(line) + 1))


@pytest.mark.parametrize("size", [9_000, 90_000, 4_000_000])
def test_large_cells_are_compared_in_bounded_time(size):
    cells = Cells([cell(repeated("x = load('a', 1)", size))])
    began = time.process_time()
    cells.put(cell(repeated("x = load('b', 2)", size)))
    assert time.process_time() - began < 5
    # Beyond 100 kB only the same text is the same cell.
    assert len(cells) == (1 if size < 100_000 else 2)
    cells.put(cell(repeated("x = load('b', 2)", size)))
    assert len(cells) == (1 if size < 100_000 else 2)


def test_cell_whose_id_is_taken_gets_another():
    cells = Cells([cell("a = 1", id="x"), cell("b = 1", id="x")])
    assert len({each.id for each in cells}) == 2


def test_cells_are_called_by_name_else_by_label():
    cells = Cells([cell("a = 1", name="model", label="cell 3"), cell("b = 1", label="cell 4")])
    cells.add(cell("c = 1", name="model", label="cell 4"))
    assert [len(cells.called(key)) for key in ("model", "cell 3", "cell 4", "nope", "")] == [
        *(2, 1, 2, 0, 0)
    ]


def test_dropped_cell_is_gone_and_an_unknown_one_drops_nothing():
    cells = Cells([cell("a = 1", id="x")])
    assert cells.drop("nope") is None
    assert cells.drop("x") is not None
    assert len(cells) == 0


def test_arrange_follows_the_ids():
    cells = Cells([cell("a = 1", id=each) for each in "abc"])
    cells.arrange(["c", "a", "b"])
    assert [each.id for each in cells] == ["c", "a", "b"]


HANDLERS = {
    "def handler(job): ...": "handler",
    "async def handler(job): ...": "handler",
    "def run(job): ...": "run",
    "def load(): ...\ndef run(job): ...": "run",
    "def run(job, verbose=False): ...": "run",
    "def run(job, *, size): ...\ndef go(job): ...": "go",
    "def a(x): ...\ndef handler(job): ...": "handler",
    "handler = Thing().run": "handler",
    "from lib import handler": "handler",
    "if fast:\n    def handler(job): ...\nelse:\n    def handler(job): ...": "handler",
    "@rpnb.handler\ndef a(x): ...\ndef handler(x): ...": "a",
    'def a(x): ...\nrunpod.serverless.start({"handler": a})': "a",
    'runpod.serverless.start({"handler": Worker(3).run, "refresh_worker": True})': "Worker(3).run",
    "runpod.serverless.start(dict(handler=a))": "a",
    'runpod.serverless.start(config={"handler": a})': "a",
    'from runpod.serverless import start as go\ngo({"handler": a})': "a",
    'import runpod.serverless as s\ns.start({"handler": a})': "a",
    'from runpod import serverless\nserverless.start({"handler": a})': "a",
    'if __name__ == "__main__":\n    runpod.serverless.start({"handler": a})': "a",
    'def a(x): ...\ndef b(n): ...\nc = {"handler": b}\nrunpod.serverless.start(c)': "b",
    'c = {}\nc["handler"] = app.run\nrunpod.serverless.start(c)': "app.run",
    'c = {"handler": a}\nc["handler"] = b\nrunpod.serverless.start(c)': "b",
    'def main():\n    c: dict = {"handler": a}\n    runpod.serverless.start(c)': "a",
    "def a(x): ...\ndef b(x): ...\nrunpod.serverless.start(made(a, b))": 'made(a, b)["handler"]',
    "def run(job): ...\nrunpod.serverless.start(made())": "run",
    "%matplotlib inline\ndef run(job): ...": "run",
}


@pytest.mark.parametrize("source", HANDLERS)
def test_handler_is_what_production_would_call(source):
    assert handler_name(cell(source, kind="handler")) == HANDLERS[source]


def test_cell_without_functions_has_no_handler():
    with pytest.raises(NoHandler, match="cell 4 defines no handler"):
        handler_name(cell("x = 1", kind="handler", label="cell 4"))


def test_several_candidates_are_listed():
    with pytest.raises(NoHandler, match="2 functions that could be the handler: a, b"):
        handler_name(cell("def a(x): ...\ndef b(x): ...", kind="handler"))


def test_function_without_parameters_is_named_in_the_error():
    with pytest.raises(NoHandler, match=r"\(load\) none takes one job"):
        handler_name(cell("def load(): ...", kind="handler"))


def test_cell_that_cannot_be_parsed_says_where():
    with pytest.raises(BadSyntax, match="cell 4, line 3"):
        handler_name(cell("x = 1\ndef (", kind="handler", label="cell 4"))


@pytest.mark.parametrize(
    ("source", "starts"),
    [
        ('runpod.serverless.start({"handler": f})', True),
        ("server.start()", False),
        ("# runpod.serverless.start", False),
        ("from runpod.serverless import start\nstart(config)", True),
    ],
)
def test_own_start_call_is_seen(source, starts):
    assert bool(start_call.calls(source)) is starts
