"""What a worker hands over to a kernel: the notebook's own goes on, others' takes nothing."""

from __future__ import annotations

import json
import shutil
import sys
import time

import pytest

from rpnb.protocol import frames

CONNECT = "%runpod_connect local --python " + sys.executable
PRIVATE = "diary-of-this-machine"
HANDLER = "%%runpod_handler --input {} --no-form\ndef handler(job):\n    return 1"


@pytest.fixture
def wire(monkeypatch):
    """The bytes of all frames that leave this process."""
    sent, encode = [], frames.encode

    def spy(head, buffers=()):
        sent.append(encode(head, buffers))
        return sent[-1]

    monkeypatch.setattr(frames, "encode", spy)
    return sent


@pytest.fixture
def hand_over(places):
    """Change what the agent hands over, as who owns the machine could."""

    def change(alter):
        (file,) = (places / "rpnb").glob("**/run/*/program")
        program = json.loads(file.read_bytes())
        alter(program)
        file.write_text(json.dumps(program))

    return change


def cell(source, **more):
    return {"id": "planted", "kind": "setup", "name": "planted", "label": "cell 9",
            "source": source, "first_line": 2, **more}  # fmt: skip


READS = {"name": "reads", "kind": "source", "text": "def reads():\n    return diary",
         "later": ["diary"]}  # fmt: skip
BRINGS = {"name": "brings", "kind": "source", "text": "def brings():\n    import mine\n    mine.x"}
STOPS = "stays here: "
SAYS = "nothing here says that it was sent from here: "
PLANTED = {
    "a variable": (cell("x = diary"), [], "`diary` of this notebook " + STOPS),
    "a variable in a function": (cell("def f():\n    return diary"), [], STOPS),
    "a variable with a default": (
        cell("try:\n    diary\nexcept NameError:\n    pass"),
        [],
        SAYS + "`diary`",
    ),
    "a name behind a star": (cell("from os import *\nf'{diary}'"), [], SAYS + "`diary`"),
    "a command": (cell("!echo {diary}"), [], STOPS),
    "a function that was planted, too": (cell("y = reads()"), [READS], STOPS),
    "a function that imports": (cell("y = brings"), [BRINGS], ""),
    "a module": (cell("import mine"), [], SAYS + "mine.py"),
    "a module in a folder": (cell("import sys\nsys.path.append('lib')\nimport deep"), [], ""),
    "a requirements file": (cell("%pip install -r asked.txt"), [], SAYS + "`-r asked.txt`"),
    "a file beside": (cell("import pathlib\npathlib.Path(__file__).with_name('d.txt')"), [], ""),
    "a class that registers": (cell("z = Kinds"), [], STOPS),
}


@pytest.mark.slow  # a kernel for each of them
def test_cell_that_was_planted_takes_nothing_of_this_machine(
    connected, new_book, places, wire, hand_over
):
    (places / "mine.py").write_text(f"x = '{PRIVATE}'")
    (places / "lib").mkdir()
    (places / "lib" / "deep.py").write_text(f"x = '{PRIVATE}'")
    (places / "d.txt").write_text(PRIVATE)
    (places / "asked.txt").write_text(f"packaging  # {PRIVATE}")
    connected.run(HANDLER, "own")
    connected.run("%runpod_disconnect")
    leaked = []
    for what, (planted, captures, told) in PLANTED.items():
        hand_over(lambda p, c=planted, more=captures: p.update(cells=[c], captures=more))
        book = new_book()
        book.run(f"diary = '{PRIVATE}'\nclass Kinds:\n    kept = ['{PRIVATE}']")
        wire.clear()
        book.run(CONNECT)
        # Twice: what the first build leaves is no better known to the second.
        said = book.run(HANDLER, "own").text + book.run("%runpod_run {}").text
        leaked += [what] if PRIVATE.encode() in b"".join(wire) else []
        assert leaked or told in said, what
        book.run("%runpod_drop planted")
        assert book.run(HANDLER, "own").error is None
        book.run("%runpod_disconnect")
    assert leaked == []


def test_planted_cell_travels_to_no_other_worker(connected, new_book, wire, hand_over):
    connected.run(HANDLER, "own")
    connected.run("%runpod_disconnect")
    mark = "planted_for_another_machine"
    hand_over(lambda p: p["cells"].insert(0, cell(f"{mark} = 1")))
    hand_over(lambda p: p["captures"].append({**READS, "text": f"def reads():\n    {mark}"}))
    hand_over(lambda p: p["env"].update(PLANTED=mark))
    book = new_book()
    book.run(CONNECT)
    assert mark in book.run("%runpod_program").text
    wire.clear()
    said = book.run(CONNECT + " --name another")
    assert "cell 9 (setup planted) left the program: it came with another worker" in said.text
    assert book.run(HANDLER, "own").error is None
    assert mark.encode() not in b"".join(wire)
    book.run("%runpod_disconnect")
    book.run(CONNECT)
    book.run("%runpod_disconnect")
    wire.clear()
    book.run(CONNECT + " --name another")
    book.run(HANDLER, "own")
    assert mark.encode() not in b"".join(wire)
    book.run("%runpod_stop")


def test_planted_cell_with_the_id_of_another_stays_strange(connected, new_book, wire, hand_over):
    connected.run(HANDLER, "own")
    connected.run("%runpod_disconnect")
    hand_over(lambda p: p["cells"].append(cell("x = diary", id="own")))
    book = new_book()
    book.run(f"diary = '{PRIVATE}'")
    book.run(CONNECT)
    assert STOPS in book.run(HANDLER, "own").text
    assert PRIVATE.encode() not in b"".join(wire)


SETUP = """%%runpod_setup model
%pip install -r asked.txt
import helping
model = print("loading") or helping.load(STEPS, shape())"""
OWN = {
    "v": "import math\nSTEPS = 3\nWEIGHTS = list(range(3000))",
    "f": "def shape():\n    return math.floor(len(WEIGHTS) / 2)",
}
ASKS = (
    "%%runpod_handler --input {} --no-form\ndef handler(job):\n    return [model, STEPS, shape()]"
)


@pytest.fixture
def used(new_book, places):
    """A program that uses variables, functions, a module and a requirements file; let go of."""
    (places / "helping.py").write_text("def load(*given):\n    return list(given)")
    (places / "asked.txt").write_text("packaging")
    book = new_book()
    book.run(CONNECT)
    for key, text in {**OWN, "s": SETUP, "h": ASKS}.items():
        assert (said := book.run(text, key)).error is None, said.text
    assert book.names["_result"].output == [[3, 1500], 3, 1500]
    book.run("%runpod_disconnect")
    return new_book()


def asked(book):
    said = book.run(ASKS, "h")
    assert said.error is None, said.text
    return book.names["_result"].output, "loading" in said.text, said.text


@pytest.mark.slow  # installs, and four kernels
def test_restarted_kernel_loads_what_was_edited_and_asks_nothing(used, new_book, places):
    for rerun in ((), ("v",), ("v", "f")):
        for key in rerun:
            used.run(OWN[key], key)
        used.run(CONNECT)
        output, loaded, said = asked(used)
        assert (output, loaded) == ([[3, 1500], 3, 1500], False), rerun
        assert "came with the worker" not in said
        used.run("%runpod_disconnect")
        used = new_book()
    used.run(OWN["v"].replace("STEPS = 3", "STEPS = 4"), "v")
    used.run(CONNECT)
    assert asked(used)[:2] == ([[4, 1500], 4, 1500], True)
    (places / "helping.py").write_text("def load(*given):\n    return ['edited']")
    assert asked(used)[:2] == ([["edited"], 4, 1500], True)


@pytest.mark.slow  # installs, and two kernels
def test_restarted_kernel_that_remembers_nothing_keeps_the_model_and_says_what_stays(used, places):
    shutil.rmtree(places / "state")
    used.run("STEPS = 4", "v")
    used.run(CONNECT)
    said = used.run("%runpod_run {}")
    assert "loading" not in said.text
    assert used.names["_result"].output == [[3, 1500], 3, 1500]
    assert f"cell 5 (setup model) came with the worker, and {SAYS}" in said.text
    assert "`STEPS`, helping.py, `-r asked.txt` of this machine did not go there" in said.text
    # The handler is run here and takes the new one along: so the set-up cell sees it, too.
    output, loaded, said = asked(used)
    assert (output, loaded) == ([[4, 1500], 4, 1500], True)
    assert "helping.py, `-r asked.txt` of this machine did not go there for it" in said
    assert "came with the worker" not in used.run(SETUP, "s").text
    assert "came with the worker" not in asked(used)[2]


def lines(line, size=4_000_000):
    return f"{line}\n" * (size // (len(line) + 1))


@pytest.mark.parametrize(
    "text",
    [lines("x = load(1)"), "x = [" + "1, " * 1_320_000 + "]", lines("!x"), lines("!)(")],
    ids=["statements", "one expression", "commands", "brackets"],
)
def test_huge_cell_that_was_planted_does_not_hang(connected, new_book, hand_over, text):
    connected.run(HANDLER)
    connected.run("%runpod_disconnect")
    hand_over(lambda p: p["cells"].insert(0, cell(text, id="cell:1", name="")))
    began = time.process_time()
    book = new_book()
    said = book.run(CONNECT)
    assert "the worker's program, 4.0 MB, is not known to be from here" in said.text
    assert book.run("%%runpod_setup\nx = load(2)").error is not None
    assert time.process_time() - began < 10
