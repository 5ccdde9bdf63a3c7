import pytest

from rpnb.program.cells import Cell
from rpnb.program.order import code_cells, lifted, matched, order


def notebook(*cells):
    made = [{"cell_type": "code", **({"id": key} if key else {}), "source": text}
            for key, text in cells]  # fmt: skip
    return code_cells({"cells": made})


def setup(id, source, name=""):  # noqa: A002 - Cell's own word
    return Cell(id, "setup", name, f"cell of {id}", source)


def test_code_cells_are_counted_among_themselves():
    cells = [{"cell_type": "markdown", "source": "# hi"},
             {"cell_type": "code", "source": ["x = 1\n", "y"]},
             {"cell_type": "code", "id": "k", "source": ""}]  # fmt: skip
    found = [(each.id, each.label, each.text, each.has_id) for each in code_cells({"cells": cells})]
    assert found == [("position-1", "cell 1", "x = 1\ny", False), ("k", "cell 2", "", True)]


def test_id_that_a_file_has_twice_names_the_first_cell():
    assert [(each.id, each.has_id) for each in notebook(("a", "1"), ("a", "2"))] == [
        ("a", True),
        ("position-2", False),
    ]


def test_saved_cells_of_the_program_are_the_setup_and_handler_ones():
    texts = ["x = 1", "%%runpod_setup model --again\nm = 1", "# %%runpod_handler\ndef f(j): ...",
             "%%runpod_remote\nx", "%%runpod_test a\n{}", "%%runpod_setup --nope\nx"]  # fmt: skip
    found = [each.remote for each in notebook(*((str(n), text) for n, text in enumerate(texts)))]
    assert [each and (each.id, each.kind, each.name, each.first_line) for each in found] == [
        None,
        ("1", "setup", "model", 2),
        ("2", "handler", "", 2),
        None,
        None,
        ("5", "setup", "", 2),
    ]


SAVED = notebook(("a", "%%runpod_setup one\nx = 1"), ("b", "%%runpod_setup\ny = 2"), ("c", "z = 3"))
MATCHES = {
    "by its id, whatever it says": ([setup("b", "w = 0")], (), {"b": "b"}),
    "by its id, an ordinary cell": ([setup("c", "z = 3")], (), {"c": "c"}),
    "what never had an id by its text": ([setup("cell:1", "y = 2\n")], (), {"cell:1": "b"}),
    "what never had an id by its name": ([setup("cell:1", "x = 7", "one")], (), {"cell:1": "a"}),
    "what the file has lost by its text": ([setup("old", "y = 2")], {"old"}, {"old": "b"}),
    "what the file has lost not by its name": ([setup("old", "x = 7", "one")], {"old"}, {}),
    "what was never saved is none of it": ([setup("new", "y = 2")], (), {}),
    "no saved cell is two": ([setup("cell:1", "y = 2"), setup("cell:2", "y = 2")], (),
                             {"cell:1": "b"}),
    "pasted before cut": ([setup("old", "y = 2"), setup("cell:2", "y = 2")], {"old"},
                          {"cell:2": "b"}),
}  # fmt: skip


@pytest.mark.parametrize("case", MATCHES)
def test_programs_cell_is_the_saved_one(case):
    cells, seen, expected = MATCHES[case]
    found = matched(cells, SAVED, seen)
    assert {key: each.id for key, each in found.items()} == expected


def test_file_without_ids_is_matched_by_what_its_cells_say():
    saved = notebook(("", "%%runpod_setup\ny = 2"), ("", "%%runpod_setup\nx = 1"))
    found = matched([setup("page-1", "x = 1"), setup("page-2", "y = 2")], saved)
    assert {key: each.place for key, each in found.items()} == {"page-1": 2, "page-2": 1}


ORDERS = {
    "the file's order": ("abc", "cab", "cab", "abc"),
    "unsaved behind what ran before it": ("abc", "axcb", "axcb", "axbc"),
    "unsaved first": ("ab", "xab", "xab", "xab"),
    "two unsaved in the order of their runs": ("ab", "bxya", "bxya", "abxy"),
    "unsaved behind what ran again before it": ("abc", "abcx", "abcax", "axbc"),
    "an ordinary cell counts as what ran before": ("abc", "acx", "acbx", "axc"),
    "from before keeps its neighbour": ("abc", "axbc", "", "axbc"),
    "without a file as it is": ("", "bxa", "bxa", "bxa"),
}


@pytest.mark.parametrize("case", ORDERS)
def test_order_follows_the_saved_notebook(case):
    saved, ids, ran, expected = ORDERS[case]
    place = {each: number for number, each in enumerate(saved)}
    # "b" of the ordinary case is no cell of the program.
    assert "".join(order(place, ids, list(ran))) == expected


LIFTS = {
    "above the one that needs it": (["a = x", "x = 1"], {"1"}, (), "10"),
    "not a saved one": (["a = x", "x = 1"], set(), (), "01"),
    "not where the name is here": (["a = x", "x = 1"], {"1"}, {"x"}, "01"),
    "not where another gives it": (["x = 0", "a = x", "x = 1"], {"2"}, (), "012"),
    "not for what a function looks up": (["def f(): return x", "x = 1"], {"1"}, (), "01"),
    "below what it needs itself": (["b = 1", "a = x", "x = b"], {"2"}, (), "021"),
}


@pytest.mark.parametrize("case", LIFTS)
def test_unsaved_cell_stands_above_what_cannot_do_without_it(case):
    sources, unsaved, here, expected = LIFTS[case]
    cells = [setup(str(number), source) for number, source in enumerate(sources)]
    assert "".join(each.id for each in lifted(cells, unsaved, here)) == expected
