"""load: a notebook or a handler file as a program and its jobs."""

import json

import pytest

from rpnb.cli import kernel
from rpnb.cli.progress import Progress
from rpnb.cli.source import Source, Wanted, load
from rpnb.errors import BadInput, BadSyntax, CannotCapture, MissingName, NoHandler, ProgramError
from rpnb.program.steps import Capture, Program
from rpnb.transport.targets import parse
from tests.cli.books import HANDLER, book

NONE, EVERY = Wanted(none=True), Wanted(every=True)


def loaded(path, wanted=NONE):
    return load(path, wanted, Progress())


def inputs(path, *typed, every=False):
    return [job["input"] for job in loaded(path, Wanted(typed, every)).jobs]


@pytest.fixture
def no_kernel(monkeypatch):
    """Any start of a kernel fails the test."""

    def refuse(*_given):
        raise AssertionError("a kernel was started")

    monkeypatch.setattr(kernel, "build_in_kernel", refuse)


@pytest.mark.usefixtures("no_kernel")
def test_load_of_remote_cells_that_stand_alone_needs_no_kernel(tmp_path):
    path = book(
        tmp_path / "n.ipynb", "raise SystemExit", "%%runpod_setup\nimport json\nm = 1", HANDLER
    )
    assert "m = 1\n" in loaded(path).program.text


@pytest.mark.parametrize(
    "option", ['--input {"a": }', "--input {'a': nowhere}", "--input-file nowhere.json"]
)
def test_load_names_the_cell_of_an_input_it_cannot_read(tmp_path, option):
    own = HANDLER.replace("handler\n", f"handler {option}\n", 1)
    with pytest.raises(BadInput, match="^cell 2: "):
        inputs(book(tmp_path / "n.ipynb", "x = 1", own))


@pytest.mark.usefixtures("no_kernel")
def test_load_of_literal_tests_needs_no_kernel(tmp_path):
    path = book(tmp_path / "n.ipynb", '%%runpod_test t\n# two\n[{"a": 1}, {"a": 2}]', HANDLER)
    assert inputs(path) == [{"a": 1}, {"a": 2}]


def test_load_executes_only_the_cells_that_are_needed(tmp_path):
    path = book(
        tmp_path / "n.ipynb",
        "%load_ext rpnb\n%runpod_connect nowhere.invalid\nbase = 20",
        "raise RuntimeError('not needed')",
        "limit = base + 1",
        "%%runpod_handler\ndef handler(job):\n    return limit",
    )
    assert "limit = 21\n" in loaded(path).program.text


def test_load_keeps_a_captured_function_as_it_was_typed(tmp_path):
    path = book(
        tmp_path / "n.ipynb",
        "# why\ndef double( x ):  # twice\n    return x*2",
        "%%runpod_handler\ndef handler(job):\n    return double(1)",
    )
    assert "def double( x ):  # twice\n    return x*2\n" in loaded(path).program.text


def test_load_runs_the_kernel_in_the_notebooks_folder(tmp_path):
    (tmp_path / "here.txt").write_text("read")
    path = book(
        tmp_path / "n.ipynb",
        "word = open('here.txt').read()",
        "%%runpod_handler\ndef handler(job):\n    return word",
    )
    assert "word = 'read'" in loaded(path).program.text.replace('"', "'")


def test_load_names_the_ordinary_cell_that_raised(tmp_path):
    path = book(
        tmp_path / "n.ipynb",
        "limit = 1 / 0",
        "%%runpod_handler\ndef handler(job):\n    return limit",
    )
    with pytest.raises(ProgramError, match="cell 1, which the program depends on.*ZeroDivision"):
        loaded(path)


def test_load_passes_on_what_the_builder_says_in_the_kernel(tmp_path):
    path = book(
        tmp_path / "n.ipynb",
        "limit = 1",
        "%%runpod_handler\ndef handler(job):\n    return limit, nowhere",
    )
    with pytest.raises(MissingName, match="nowhere"):
        loaded(path)


def test_load_of_a_name_that_only_a_job_would_give_is_an_error(tmp_path):
    path = book(
        tmp_path / "n.ipynb",
        "result = %runpod_run fox",
        "%%runpod_handler\ndef handler(job):\n    return result",
    )
    with pytest.raises(ProgramError, match="no job runs while a program is built"):
        loaded(path)


def test_load_without_handler_cell_says_how_to_begin_one(tmp_path):
    with pytest.raises(NoHandler, match="%%runpod_handler"):
        loaded(book(tmp_path / "n.ipynb", "def handler(job): ..."))


def test_load_of_a_syntax_error_names_the_cell(tmp_path):
    with pytest.raises(BadSyntax, match="cell 2, line 2"):
        loaded(book(tmp_path / "n.ipynb", "a = 1", "%%runpod_handler\ndef handler(job)\n    x"))


def test_load_prefers_typed_inputs(tmp_path):
    path = book(tmp_path / "n.ipynb", "%%runpod_test t\n{'a': 1}", HANDLER)
    assert inputs(path, '{"b": 2}', "3") == [{"b": 2}, 3]


def test_load_prefers_the_handlers_own_input_to_tests(tmp_path):
    own = HANDLER.replace("handler\n", 'handler --input {"own": true}\n', 1)
    path = book(tmp_path / "n.ipynb", "%%runpod_test t\n{'a': 1}", own)
    assert inputs(path) == [{"own": True}]
    assert inputs(path, every=True) == [{"own": True}, {"a": 1}]


def test_load_takes_the_first_test(tmp_path):
    path = book(
        tmp_path / "n.ipynb", "%%runpod_test t\n{'a': 1}", "%%runpod_test u\n{'a': 2}", HANDLER
    )
    assert inputs(path) == [{"a": 1}]
    assert inputs(path, every=True) == [{"a": 1}, {"a": 2}]


def test_load_executes_a_test_with_what_it_needs(tmp_path):
    path = book(
        tmp_path / "n.ipynb",
        "words = ['a', 'b']",
        "%%runpod_test t\nimport json\n[json.loads('{}'), {'n': len(words)}]",
        HANDLER,
    )
    assert inputs(path) == [{}, {"n": 2}]


def test_load_evaluates_an_input_with_names(tmp_path):
    own = HANDLER.replace("handler\n", 'handler --input {"prompt": prompt}\n', 1)
    assert inputs(book(tmp_path / "n.ipynb", "prompt = 'fox'", own)) == [{"prompt": "fox"}]


def test_load_takes_an_input_that_names_a_test(tmp_path):
    own = HANDLER.replace("handler\n", "handler --input u\n", 1)
    path = book(tmp_path / "n.ipynb", "%%runpod_test t\n{'a': 1}", "%%runpod_test u\n{'a': 2}", own)
    assert inputs(path) == [{"a": 2}]


def test_load_falls_back_to_test_input_beside_the_notebook(tmp_path):
    (tmp_path / "test_input.json").write_text('{"input": {"file": 1}, "id": "j9"}')
    found = loaded(book(tmp_path / "n.ipynb", HANDLER), Wanted())
    assert found.jobs == ({"id": "j9", "input": {"file": 1}},)


def test_load_without_any_input_says_what_to_add(tmp_path):
    with pytest.raises(BadInput, match=r"--input .*%%runpod_test.*test_input\.json"):
        loaded(book(tmp_path / "n.ipynb", HANDLER), Wanted())


def test_load_says_how_it_took_an_input_that_could_be_a_job(tmp_path):
    path = book(tmp_path / "n.ipynb", HANDLER)
    found = loaded(path, Wanted(('{"input": 1, "seed": 2}',)))
    assert found.jobs[0]["input"] == {"input": 1, "seed": 2}
    assert any("`seed`" in note for note in found.notes)


def test_load_of_a_bad_input_has_a_caret(tmp_path):
    with pytest.raises(BadInput, match=r"(?s)\{\"a\": \}\n +\^"):
        loaded(book(tmp_path / "n.ipynb", HANDLER), Wanted(('{"a": }',)))


def test_load_of_an_input_file_reads_it(tmp_path):
    (tmp_path / "in.json").write_text(json.dumps({"from": "file"}))
    path = book(tmp_path / "n.ipynb", HANDLER)
    assert inputs(path, f"@{tmp_path / 'in.json'}") == [{"from": "file"}]


def test_load_of_a_handler_file_keeps_its_text(tmp_path):
    text = (
        '"""Mine."""\nimport runpod\n\ndef run(job):\n    return 1\n\n'
        'runpod.serverless.start({"handler": run})\n'
    )
    (tmp_path / "handler.py").write_text(text)
    found = loaded(tmp_path / "handler.py")
    assert (found.program.text, found.program.handler) == (text, "run")


class Attached:
    """A session as far as `prepare` looks at it."""

    def __init__(self, python, **more):
        self.info = {"python": python, **more}
        self.target = parse("gpu-box")


def test_prepare_refuses_bytecode_for_another_python(tmp_path):
    captured = Capture("f", "value", "f = …", bytecode="f", use="cell 3, line 1")
    bound = Source(tmp_path / "n.ipynb", Program(python="3.11", captures=(captured,)))
    bound.prepare(Attached("3.11.9"))
    with pytest.raises(
        CannotCapture, match=r"(?s)`f` holds code.*3\.11; the target has 3\.12.*cell 3"
    ):
        bound.prepare(Attached("3.12.1"))


def test_prepare_refuses_what_another_major_would_misread(tmp_path):
    asks = (("numpy", "`w` is of numpy.ndarray", "1.26.4"),)
    captured = Capture("w", "value", "w = …", asks=asks, use="cell 3, line 1")
    found = Source(tmp_path / "n.ipynb", Program(captures=(captured,)))
    found.prepare(Attached("3.11.9", packages={"numpy": "1.24.0"}))
    with pytest.raises(CannotCapture, match=r"(?s)numpy 1\.26\.4; the target has numpy 2.*cell 3"):
        found.prepare(Attached("3.11.9", packages={"numpy": "2.4.6"}))


def test_load_of_a_missing_handler_file_is_a_sentence(tmp_path):
    with pytest.raises(BadInput, match="there is no file"):
        loaded(tmp_path / "handler.py")
