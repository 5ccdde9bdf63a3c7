import pytest

from rpnb.errors import BadInput
from rpnb.program.order import Order, code_cells, order, program_cells


def notebook(*ids):
    return {"cells": [{"cell_type": "code", "id": each, "source": each} for each in ids]}


CASES = {
    "without a file": (None, "bab", "", Order(("b", "a"))),
    "the file's order": (notebook(*"abc"), "cab", "", Order(("a", "b", "c"))),
    "unsaved after its neighbour": (notebook(*"abc"), "axcb", "",
                                    Order(("a", "x", "b", "c"), (), ("x",))),
    "unsaved first": (notebook(*"ab"), "xab", "", Order(("x", "a", "b"), (), ("x",))),
    "two unsaved keep their order": (notebook(*"ab"), "bxya", "",
                                     Order(("a", "b", "x", "y"), (), ("x", "y"))),
    "deleted": (notebook(*"ac"), "abc", "abc", Order(("a", "c"), ("b",))),
    "moved": (notebook(*"cab"), "abc", "abc", Order(("c", "a", "b"))),
    "not run yet": (notebook(*"abc"), "a", "", Order(("a",))),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_order_follows_the_saved_notebook(case):
    saved, executed, seen, expected = CASES[case]
    assert order(saved, list(executed), seen=set(seen)) == expected


def test_code_cells_are_numbered_among_themselves():
    cells = [{"cell_type": "markdown", "source": "# hi"},
             {"cell_type": "code", "source": ["x = 1\n", "y"]},
             {"cell_type": "code", "id": "k", "source": ""}]  # fmt: skip
    found = [(each.id, each.label, each.text) for each in code_cells({"cells": cells})]
    assert found == [("cell:1", "cell 1", "x = 1\ny"), ("k", "cell 2", "")]


def test_program_cells_are_the_setup_and_handler_ones():
    sources = ["x = 1", "%%runpod_setup model --again\nm = 1", "# %%runpod_handler\ndef f(j): ...",
               "%%runpod_remote\nx", "%%runpod_test a\n{}"]  # fmt: skip
    saved = {"cells": [{"cell_type": "code", "id": str(n), "source": source}
                       for n, source in enumerate(sources)]}  # fmt: skip
    found = program_cells(code_cells(saved))
    assert [(each.id, each.kind, each.name, each.label, each.first_line) for each in found] == [
        ("1", "setup", "model", "cell 2", 2),
        ("2", "handler", "", "cell 3", 2),
    ]


def test_option_that_is_unknown_is_said():
    with pytest.raises(BadInput):
        program_cells(code_cells(notebook("%%runpod_setup --nope\nx")))
