import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.errors import BadSyntax, MissingName, NoHandler, ProgramError, ProtocolError
from rpnb.program.build import build, needs
from rpnb.program.cells import Cell
from rpnb.program.names import Names
from rpnb.program.skew import There
from rpnb.program.steps import Program

FUTURE = "from __future__ import annotations"
DOCSTRING = '"""RunPod serverless handler, exported from a notebook by rpnb."""'
HANDLER = "def handler(job):\n    return job"


def cells(*sources, handler=None, first_line=2):
    found = [
        Cell(f"id-{n}", "setup", "", f"cell {n}", source, first_line)
        for n, source in enumerate(sources, 1)
    ]
    if handler is not None:
        found.append(Cell("id-h", "handler", "", f"cell {len(found) + 1}", handler, first_line))
    return found


def built(*sources, handler=None, **options):
    return build(cells(*sources, handler=handler), options.pop("names", Names({})), **options)


def test_program_is_laid_out_as_a_careful_person_would():
    program = built("import os\n\nmodel = os.getcwd()", handler=HANDLER)
    assert program.text == (
        f"{DOCSTRING}\n\nimport os\n\nmodel = os.getcwd()\n\n\n{HANDLER}\n\n\n"
        'if __name__ == "__main__":\n    import runpod\n\n'
        '    runpod.serverless.start({"handler": handler})\n'
    )


def test_command_inside_a_function_finds_what_it_needs():
    program = built(handler="def handler(job):\n    out = !echo hi\n    return out")
    assert "import subprocess\n" in program.text


def test_runpod_is_not_imported_twice():
    program = built("import runpod", handler=HANDLER)
    assert program.text.count("import runpod") == 1


def test_own_start_call_is_the_only_one():
    own = f'{HANDLER}\nrunpod.serverless.start({{"handler": handler}})'
    assert built("import runpod", handler=own).text.count("serverless.start") == 1


def test_single_cell_with_its_own_start_is_unchanged():
    own = f'# mine\nimport runpod\n{HANDLER}\nrunpod.serverless.start({{"handler": handler}})\n'
    assert built(handler=own).text == own


def test_setup_alone_is_a_program_without_a_handler():
    program = built("x = 1")
    assert (program.handler, program.text) == ("", f"{DOCSTRING}\n\nx = 1\n")


def test_handler_stands_last_wherever_it_was_typed():
    handler = Cell("h", "handler", "", "cell 1", HANDLER, 2)
    setup = Cell("s", "setup", "", "cell 2", "x = 1", 2)
    text = build([handler, setup], Names({})).text
    assert text.index("x = 1") < text.index("def handler")


def test_docstring_of_the_first_cell_is_the_files():
    text = built('# licence\n"""Mine."""\nx = 1', handler=HANDLER).text
    assert text.startswith('# licence\n"""Mine."""\n\nx = 1\n')
    assert DOCSTRING not in text


def test_docstring_of_a_later_cell_stays_where_it_is():
    text = built("x = 1", '"""Mine."""\ny = 1').text
    assert text.startswith(f"{DOCSTRING}\n\nx = 1\n\n" + '"""Mine."""\ny = 1\n')


def test_future_lines_are_hoisted_once():
    line = "from __future__ import annotations"
    text = built(f"{line}\nx = 1", "y = 1\n\n", handler=f"{line}\n{HANDLER}").text
    assert text.startswith(f"{DOCSTRING}\n\n{line}\n\nx = 1\n\ny = 1\n\n\ndef handler")
    assert text.count("__future__") == 1


def test_future_line_after_code_in_a_cell_compiles():
    text = built("x = 1", "from __future__ import annotations\ndef f(x: Nowhere): ...").text
    compile(text, "handler.py", "exec")


def test_marks_of_rpnb_are_taken_out():
    text = built(handler=f"import time\n\n@rpnb.handler\n{HANDLER}").text
    assert "import time\n\ndef handler" in text


def test_import_of_rpnb_for_its_marks_is_taken_out():
    text = built(handler=f"import rpnb\n\n@rpnb.handler\n{HANDLER}").text
    assert "import rpnb" not in text


def test_future_line_that_changes_another_cell_is_noted():
    program = built(f"{FUTURE}\nx = 1", "def f(x: int): ...")
    assert program.notes == (
        "`from __future__ import annotations` of cell 1 holds for the whole file, cell 2 included",
    )


def test_env_is_part_of_the_program():
    assert built("x = 1", env={"A": "1"}).env == {"A": "1"}


def test_env_magic_sets_env_and_the_line_stays_as_a_comment():
    program = built("%env A=1\nx = 1")
    assert (program.env, "# %env A=1\nx = 1" in program.text) == ({"A": "1"}, True)


def test_pip_magic_makes_requirements():
    assert built("%pip install 'numpy>1' pillow\nx = 1").requirements == ("numpy>1", "pillow")


def test_shell_command_brings_its_import():
    text = built("files = !ls").text
    assert "\n\nimport subprocess\n\nfiles = subprocess.run('ls'" in text


def test_missing_name_says_cell_and_line():
    with pytest.raises(MissingName, match="cell 2, line 3: nothing defines `model`"):
        built("x = 1", "y = 1\nz = model")


def test_missing_name_in_a_function_says_its_line():
    with pytest.raises(MissingName, match="cell 1, line 4: nothing defines `model`"):
        built("x = 1\ndef f():\n    return model")


def test_missing_name_suggests_a_near_one():
    with pytest.raises(MissingName, match="Did you mean `pipeline`"):
        built("pipeline = 1", "x = pipelin")


def test_name_bound_only_further_down_is_missing():
    with pytest.raises(MissingName, match="`x` is used before cell 2 gives it a value"):
        built("y = x", "x = 1")


def test_display_is_explained():
    with pytest.raises(MissingName, match="is IPython's"):
        built("display(1)")


PRESENT = [
    "print(len([i for i in range(3)]))",
    "def f():\n    return later\nlater = 1",
    "try:\n    model\nexcept NameError:\n    model = 1",
    "from os.path import *\nx = join('a', 'b')",
    "def load():\n    global M\n    M = 1\ndef use():\n    return M",
    "class A:\n    x = 1\n    y = x + 1",
    "class A:\n    def f(self): return A",
    "x = [y for y in range(3) if y]",
    "x = (lambda a, *b, c=1, **d: a)(1)",
    "import os.path\nx = os.path.sep",
    "for i in range(3): pass\nx = i",
    "with open(__file__) as f: pass\nx = f",
    "exec('z = 1')\nx = z",
    "if (n := 10) > 5: x = n",
    "match 1:\n    case int(v): x = v",
    "try:\n    pass\nexcept ValueError as e:\n    print(e)",
    "def f(x: 'Nowhere') -> 'Nowhere': ...",
    f"{FUTURE}\ndef f(x: Nowhere) -> Nowhere: ...",
    "x: int = 1\nx += 1",
    "def a():\n    n = 0\n    def b():\n        nonlocal n\n        n += 1\n    return b",
    "for i in 'ab':\n    y = i\n    print(i, y)",
    "with open(__file__) as f:\n    print(f)",
    "class A:\n    n = 3\n    print(n)",
    "import os; print(os)",
    "print(__name__, __doc__)",
    "import asyncio\nawait asyncio.sleep(0)",
    "del_me = 1\ndel del_me",
]


@pytest.mark.parametrize("source", PRESENT)
def test_names_that_python_finds_are_not_missing(source):
    built(source)


ABSENT = ["x = nowhere", "nowhere += 1", "class A(nowhere): ...", "def f(x=nowhere): ...",
          "@nowhere\ndef f(): ...", "x = [nowhere for i in 'ab']", "lambda: nowhere",
          "x = f'{nowhere}'", "for i in nowhere: ...", "def f(x: nowhere): ..."]  # fmt: skip


@pytest.mark.parametrize("source", ABSENT)
def test_names_that_nothing_defines_are_missing(source):
    with pytest.raises(MissingName, match="`nowhere`"):
        built(source)


def test_bad_syntax_shows_cell_line_and_caret():
    with pytest.raises(BadSyntax) as raised:
        built("x = 1\ny = (1 +")
    assert str(raised.value) == "cell 1, line 3: '(' was never closed\n    y = (1 +\n        ^"


def test_return_outside_a_function_is_bad_syntax():
    with pytest.raises(BadSyntax, match="cell 1, line 2: 'return' outside function"):
        built("return 1")


@pytest.mark.parametrize(("python", "said"), [("3.99.0", True), ("3.9.18", False), ("", False)])
def test_syntax_that_only_the_targets_newer_python_may_read_is_said_so(python, said):
    with pytest.raises(BadSyntax) as raised:
        built("x = = 1", names=Names({}, there=There(".".join(python.split(".")[:2]))))
    assert (
        "The target has Python 3.99; cells are read by the one here" in str(raised.value)
    ) == said


def test_every_bad_cell_is_said():
    with pytest.raises(BadSyntax, match="(?s)2 problems.*cell 1.*cell 2"):
        built("x = (", "y = (")


def test_handler_cell_without_handler_is_an_error():
    with pytest.raises(NoHandler, match="cell 1"):
        built(handler="x = 1")


def test_two_start_calls_are_an_error():
    own = f'import runpod\n{HANDLER}\nrunpod.serverless.start({{"handler": handler}})'
    with pytest.raises(ProgramError, match="cell 1 and cell 2 each call"):
        built(own, handler=own)


def test_needs_lists_what_ordinary_cells_must_give():
    found = needs(cells("x = model", handler="def handler(job): return helper(print)"))
    assert sorted(found) == ["helper", "model", "print"]


def test_needs_lists_what_a_try_statement_guards():
    found = needs(
        cells(handler="def handler(job):\n    try: return f()\n    except Exception: ...")
    )
    assert "f" in found


def test_needs_lists_what_a_star_import_might_give():
    assert "f" in needs(cells("from math import *\nf()"))


def handler_cells(*sources):
    return [Cell(f"id-{n}", "handler", "", f"cell {n}", each, 2) for n, each in enumerate(sources)]


def started(name, body="return job"):
    return (
        f"import runpod\n\ndef {name}(job):\n    {body}\n\n"
        f'if __name__ == "__main__":\n    runpod.serverless.start({{"handler": {name}}})'
    )


def test_of_several_handler_cells_the_last_is_the_program():
    found = handler_cells(started("first"), started("second"))
    assert build(found, Names({})) == build(found[1:], Names({}))


def test_earlier_handler_cell_lends_its_names_without_its_start():
    program = build(
        handler_cells(started("first"), started("second", "return first(job)")), Names({})
    )
    assert program.handler == "second"
    assert "def first" in program.text
    assert program.text.count("serverless.start") == 1


def test_earlier_handler_cells_lend_through_each_other():
    texts = [started("a"), started("b", "return a(job)"), started("unused"), started("c", "b(job)")]
    text = build(handler_cells(*texts), Names({})).text
    assert text.index("def a(") < text.index("def b(") < text.index("def c(")
    assert "unused" not in text


def test_start_inside_a_function_of_a_lending_cell_is_an_error():
    call = "runpod.serverless.start({'handler': first})"
    lending = f"import runpod\ndef first(job): ...\ndef main():\n    {call}\nmain()"
    with pytest.raises(ProgramError, match="cell 0 and cell 1 each call"):
        build(handler_cells(lending, started("second", "first(job)")), Names({}))


def test_name_on_both_sides_is_noted():
    program = built("K = 1\nx = K", names=Names({"K": 2}))
    assert program.notes == ("`K` exists here, too: remote cells use the one of cell 1",)


def test_name_of_a_remote_cell_wins():
    assert "K = 2" not in built("K = 1\nx = K", names=Names({"K": 2})).text


def test_wire_is_json_and_comes_back_equal():
    program = built("x = K", handler=HANDLER, names=Names({"K": 2}), env={"A": "1"})
    assert Program.from_wire(json.loads(json.dumps(program.to_wire()))) == program


@pytest.mark.parametrize("wire", [{}, {"text": ""}, {"text": "", "origins": [1]}])
def test_wire_that_is_no_program_is_refused(wire):
    with pytest.raises(ProtocolError):
        Program.from_wire(wire)


def test_captured_line_maps_to_its_ordinary_cell(notebook):
    notebook.cell("import math\n\ndef helper(x):  # mine\n    return x")
    notebook.handler("def handler(job):\n    return helper(job)")
    program = notebook.build()
    line = program.text.split("\n").index("    return x") + 1
    where = program.where(line)
    assert (str(where), where.source, where.cell_id) == ("cell 1, line 4", "    return x", None)


def test_lines_that_nobody_typed_map_nowhere():
    program = built("x = 1", handler=HANDLER)
    assert [program.where(n) for n in (0, 1, 2, 999)] == [None] * 4


LINES = st.lists(
    st.sampled_from(
        ["x = 1", "", "# comment", "def f(a):\n    return a", '"""text\n\n"""', "y = '''\na\n'''",
         "if x:\n    @rpnb.setup\n    def g(): ...", "f(\n 1)"]
    ),
    max_size=6,
)  # fmt: skip


def _cell_text(lines):
    return "\n".join([FUTURE if len(lines) > 3 else "", "x = f = 0", *lines])


@given(st.lists(LINES, min_size=1, max_size=4), st.integers(1, 4))
def test_each_line_of_a_cell_maps_back_to_where_it_was_typed(sources, first_line):
    texts = [_cell_text(lines) for lines in sources]
    found = cells(*texts, first_line=first_line)
    program = build(found, Names({}))
    by_id = {cell.id: cell for cell in found}
    mapped = set()
    for number, line in enumerate(program.text.split("\n"), 1):
        where = program.where(number)
        if where is not None:
            typed = by_id[where.cell_id].source.split("\n")
            assert typed[where.line - first_line] == line == where.source
            mapped.add((where.cell_id, where.line))
    for cell in found:
        for number, line in enumerate(cell.source.split("\n"), first_line):
            gone = not line.strip() or "__future__" in line or "@rpnb" in line
            assert gone or (cell.id, number) in mapped


@given(st.lists(LINES, min_size=1, max_size=4))
def test_built_text_always_compiles(sources):
    texts = [_cell_text(lines) for lines in sources]
    compile(build(cells(*texts), Names({})).text, "handler.py", "exec")


DEEP = {
    "signs": "-" * 50_000 + "1",
    "attributes": "a" + ".b" * 50_000,
    "a sum": "+".join(["1"] * 20_000),
    "a sum that is parsed": "+".join(["1"] * 900),
    "calls": "a" + "()" * 30_000,
    "brackets": "(" * 5000 + ")" * 5000,
}


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP)
def test_cell_that_nests_too_deep_is_named_and_never_a_traceback_of_ours(deep):
    handler = Cell("b", "handler", "", "cell 2", "def handler(job):\n    return x\n", 2)
    try:
        text = build(
            [Cell("a", "setup", "", "cell 1", f"a = 1\nx = {deep}", 2), handler], Names({})
        ).text
    except ProgramError as problem:
        text = str(problem)
    assert deep in text or "cell 1" in text
