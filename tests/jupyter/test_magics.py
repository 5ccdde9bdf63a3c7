import io
import re
import sys
from importlib import metadata

import pytest

import rpnb
from rpnb import errors

SETUP = "%%runpod_setup model\nimport time\ntime.sleep(0.06)\nfactor = [2]"
HANDLER = """%%runpod_handler
def handler(job):
    return {"y": factor[0] * job["input"]["x"]}
"""


def test_overview_lists_every_magic(book):
    text = book.run("%runpod").text
    assert "%%runpod_setup" in text
    assert "%runpod_export" in text


def test_connect_line_names_python_runpod_and_gpu(book):
    said = book.run("%runpod_connect local --python " + sys.executable)
    version = ".".join(map(str, sys.version_info[:3]))
    assert said.line.startswith(f"local │ Python {version} · runpod ")
    assert "· no GPU │ worker ready in " in said.line


def test_setup_runs_once_then_is_unchanged(connected):
    assert re.search(r"│ setup model │ ran \d+\.\d", connected.run(SETUP).line)
    assert "│ unchanged │" in connected.run(SETUP).line
    assert "│ ran " in connected.run(SETUP.replace("model", "model --again")).line


def test_setup_prints_in_the_cell_and_shows_its_last_expression(connected):
    said = connected.run("%%runpod_setup\nprint('loading')\n{'a': 1}")
    assert "loading\n" in said.text
    assert "{'a': 1}" in said.text


@pytest.mark.parametrize("kind", ["setup", "remote"])
def test_cell_that_ends_in_a_command_shows_what_it_prints_alone(connected, kind):
    for end in ("!echo a fox", "!echo a \\\n  fox  \n\n# above"):
        said = connected.run(f"%%runpod_{kind}\n{end}")
        assert "a fox" in said.text
        assert "CompletedProcess" not in said.text


def test_pip_line_of_a_scratch_cell_says_where_it_belongs(connected):
    said = connected.run("%%runpod_remote\n%pip install rpnb-nothing\n1 + 1")
    assert "what %pip lines ask for is installed from set-up cells alone" in said.text


def test_magic_that_means_nothing_there_is_named_once(connected):
    said = connected.run("%%runpod_setup\n%time x = 1")
    assert "%time is left out" in said.text
    assert "%time is left out" not in connected.run("%%runpod_setup\ny = 2").text


def test_setup_that_raises_shows_cell_and_line(connected):
    said = connected.run("%%runpod_setup model\n\nx = 1\nx / 0")
    assert isinstance(said.error, errors.RemoteError)
    assert "✗ failed after" in said.line
    assert f"ZeroDivisionError division by zero — cell {connected_number(connected)}, line 4" in (
        said.line
    )
    assert "rpnb/" not in said.text


def connected_number(book):
    return len(book.names["In"]) - 1


@pytest.mark.parametrize("form", ["%%runpod_handler", "# %%runpod_handler", "#%%runpod_handler"])
def test_handler_runs_the_given_input_in_both_forms(connected, form):
    connected.run(SETUP)
    said = connected.run(HANDLER.replace("%%runpod_handler", f"{form} --input {{'x': 21}}", 1))
    assert '{"y": 42}' in said.text
    assert said.line.startswith("local │ handler │ ✓ ")
    assert said.line.endswith("│ input: --input")


def test_handler_without_input_says_which_field_is_missing(connected):
    connected.run(SETUP)
    said = connected.run(HANDLER)
    assert said.line == (
        "local │ handler │ not run: `x` is required │ fill in the form or add --input"
    )


def test_handler_input_is_the_last_run_then_the_test(connected):
    connected.run(SETUP)
    connected.run("%%runpod_test three\n{'x': 3}")
    assert connected.run(HANDLER).line.endswith("input: test three")
    connected.run("%runpod_run {'x': 4}")
    said = connected.run(HANDLER)
    assert said.line.endswith("input: last run")
    assert '{"y": 8}' in said.text


def test_handler_input_beside_the_notebook_is_found(connected):
    (connected.folder / "test_input.json").write_text('{"input": {"x": 5}}')
    connected.run(SETUP)
    said = connected.run(HANDLER)
    assert said.line.endswith("input: test_input.json")
    assert '{"y": 10}' in said.text


def test_handler_form_defaults_run_where_all_are_there(connected):
    text = "%%runpod_handler\ndef handler(job):\n    return job['input'].get('n', 7)"
    said = connected.run(text)
    assert said.line.endswith("input: the form's defaults")
    assert said.text.rstrip().endswith("7")


def test_handler_edit_keeps_the_model_and_names_what_reran(connected):
    connected.run(SETUP)
    connected.run(HANDLER.replace("handler", "handler --input {'x': 1}", 1))
    said = connected.run(HANDLER.replace("factor[0]", "3 * factor[0]"))
    assert '{"y": 6}' in said.text
    assert "re-ran handler" in said.line


def test_handler_cell_that_runs_is_the_one_that_answers(connected):
    text = "%%runpod_handler {0} --input 1\ndef handler(job):\n    return '{0}'"
    assert connected.run(text.format("first"), "a").text.rstrip().endswith('"first"')
    assert connected.run(text.format("second"), "b").text.rstrip().endswith('"second"')
    assert connected.run(text.format("first"), "a").text.rstrip().endswith('"first"')


def test_handler_that_raises_ends_in_its_own_traceback(connected):
    connected.run(SETUP)
    said = connected.run(HANDLER.replace("handler", "handler --input {'z': 1}", 1))
    assert isinstance(said.error, errors.JobFailed)
    number = connected_number(connected)
    assert said.line.endswith(f"│ KeyError 'x' — cell {number}, line 3")
    assert f"cell {number}, line 3, in handler" in said.text
    assert "site-packages" not in said.text
    assert "remote_cells.py" not in said.text
    assert said.error.result.status == "FAILED"


def test_handler_error_result_fails_with_its_text(connected):
    text = "%%runpod_handler --input 1\ndef handler(job):\n    return {'error': 'no prompt'}"
    said = connected.run(text)
    assert isinstance(said.error, errors.JobFailed)
    assert "✗ FAILED" in said.line
    assert said.line.endswith("│ no prompt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%%runpod_handler\nx = 1", "defines no handler"),
        ("%%runpod_setup\nx = = 1", "line 2"),
        ("%%runpod_setup\nmodel = unknown_name", "unknown_name"),
        ("%%runpod_handler --inp 3\ndef handler(job): pass", "did you mean --input"),
        ("%%runpod_handler --input {'a': }\ndef handler(job): pass", "expected the name of a test"),
    ],
)
def test_cell_mistake_is_a_sentence_without_our_frames(connected, text, message):
    said = connected.run(text)
    assert isinstance(said.error, errors.RpnbError)
    assert message in said.text
    assert ".py" not in said.text


def test_cell_that_makes_no_program_is_left_out(connected):
    connected.run(SETUP)
    connected.run("%%runpod_setup model\nfactor = = 2")
    assert (
        '{"y": 6}' in connected.run(HANDLER.replace("handler", "handler --input {'x': 3}", 1)).text
    )


def test_wrong_input_has_its_caret_under_the_line(connected):
    said = connected.run("%%runpod_handler --input {'a': nope}\ndef handler(job): pass")
    lines = said.text.splitlines()
    at = next(n for n, line in enumerate(lines) if line.endswith("--input {'a': nope}"))
    assert lines[at + 1].index("^") == lines[at].index("nope")


def test_magic_on_another_line_explains_itself(book):
    said = book.run("x = 1\n%%runpod_setup model\ny = 2")
    assert isinstance(said.error, errors.WrongPlace)
    assert "here it stands on line 2" in said.text


def test_ordinary_names_travel_and_edits_reach_the_handler(connected):
    connected.run("SCALE = 10\n\ndef scaled(x):\n    return x * SCALE")
    text = "%%runpod_handler --input 4\ndef handler(job):\n    return scaled(job['input'])"
    assert connected.run(text).text.rstrip().endswith("40")
    connected.run("SCALE = 100")
    assert connected.run(text).text.rstrip().endswith("400")


def test_run_returns_the_result_only_where_it_is_taken(connected):
    connected.run(SETUP)
    connected.run(HANDLER)
    assert connected.run("%runpod_run {'x': 2}").result is None
    connected.run("r = %runpod_run {'x': 2}")
    assert connected.names["r"].output == {"y": 4}
    assert connected.names["_result"].output == {"y": 4}


def test_run_expression_is_evaluated_here(connected):
    connected.run(SETUP)
    connected.run(HANDLER)
    connected.run("numbers = [5]\nr = %runpod_run {'x': numbers[0], 'on': true}")
    assert connected.names["r"].output == {"y": 10}


def test_rpnb_run_does_not_raise_for_the_handler(connected):
    connected.run(SETUP)
    connected.run(HANDLER)
    result = rpnb.run({"z": 1})
    assert (result.ok, result.exception.type) == (False, "KeyError")
    assert rpnb.run({"x": 1}).output == {"y": 2}


def test_rpnb_stream_yields_and_leaving_cancels(connected):
    connected.run(
        "%%runpod_handler --no-run\nimport time\ndef handler(job):\n"
        "    for n in range(100):\n        yield n\n        time.sleep(0.05)"
    )
    for chunk in rpnb.stream({"a": 1}):
        if chunk == 2:
            break
    assert chunk == 2
    assert list(zip(range(2), rpnb.stream({"a": 1}), strict=False)) == [(0, 0), (1, 1)]


def test_rpnb_run_of_what_json_cannot_carry_names_the_place(connected):
    connected.run(SETUP)
    connected.run(HANDLER)
    said = connected.run("import rpnb\nrpnb.run({'pictures': [b'raw']})")
    assert isinstance(said.error, errors.BadInput)
    assert "the input['input']['pictures'][0] is a bytes" not in said.text
    assert "the input['pictures'][0] is a bytes, which JSON cannot carry" in said.text


def test_output_that_production_loses_is_a_plain_sentence(connected):
    said = connected.run("%%runpod_handler --input 1\ndef handler(job):\n    return {'x': b''}")
    assert '│ output["x"] is a bytes, which JSON cannot carry' in said.text


def test_rpnb_run_without_a_handler_says_what_to_do(book):
    with pytest.raises(errors.NoHandler, match="run a %%runpod_handler cell first"):
        rpnb.run({})


def test_generator_without_aggregate_is_told_about_it(connected):
    text = "%%runpod_handler --input 1\ndef handler(job):\n    yield 'a'\n    yield 'b'"
    said = connected.run(text)
    assert "streamed 2 chunks; callers of /run and /runsync get []." in said.text


def test_scratch_sees_the_program_and_binds_here(connected):
    connected.run(SETUP)
    said = connected.run("%%runpod_remote --to there\nmine = factor + [3]\nmine")
    assert said.line == "local │ scratch │ [2, 3] → there"
    assert connected.names["there"] == [2, 3]
    assert "[2, 3]" in connected.run("%%runpod_remote\nmine").text


def test_scratch_uses_names_of_ordinary_cells_as_they_are_now(connected):
    connected.run("limit = 3\ndef double(n):\n    return 2 * n")
    connected.run("%%runpod_remote --to got\ngot = [double(n) for n in range(limit)]\ngot")
    assert connected.names["got"] == [0, 2, 4]
    connected.run("limit = 1")
    connected.run("%%runpod_remote --to got\n[double(n) for n in range(limit)]")
    assert connected.names["got"] == [0]


def test_scratch_takes_objects_of_ordinary_classes(connected):
    connected.run("class Box:\n    def __init__(self, n): self.n = n\nboxes = [Box(1), Box(2)]")
    connected.run("%%runpod_remote --to total\nsum(box.n for box in boxes)")
    assert connected.names["total"] == 3


def test_scratch_brings_nothing_into_the_program(connected):
    connected.run(SETUP)
    connected.run("limit = 3")
    connected.run("%%runpod_remote\nlimit")
    connected.run("del limit")
    said = connected.run(
        "%%runpod_handler --input {}\ndef handler(job):\n    return 'limit' in globals()"
    )
    assert "false" in said.text


def test_scratch_prefers_what_an_earlier_scratch_cell_bound(connected):
    connected.run("%%runpod_remote\nlimit = 5")
    connected.run("limit = 3")
    connected.run("%%runpod_remote --to got\nlimit")
    assert connected.names["got"] == 5


def test_scratch_imports_a_module_beside_the_notebook(connected):
    (connected.folder / "beside.py").write_text("answer = 42")
    connected.run("%%runpod_remote --to got\nimport beside\nbeside.answer")
    assert connected.names["got"] == 42


def test_scratch_runs_shell_commands(connected):
    assert "a fox" in connected.run("%%runpod_remote\n!echo a fox").text


def test_scratch_error_in_a_captured_function_shows_its_own_cell(connected):
    connected.run("x = 1\ndef divide(n):\n    return n / 0")
    said = connected.run("%%runpod_remote\ndivide(1)")
    assert "cell 3" in said.text
    assert "return n / 0" in said.text


def test_scratch_value_that_cannot_cross_is_an_error(connected):
    said = connected.run("%%runpod_remote --to there\nobject()")
    assert isinstance(said.error, errors.RemoteError)
    assert "does not cross as data" in said.text
    assert "there" not in connected.names


def test_test_cell_runs_here_and_as_a_job(connected):
    connected.run(SETUP)
    connected.run(HANDLER)
    said = connected.run("%%runpod_test pair\nlocal_name = 2\n[{'x': 1}, {'x': local_name}]")
    assert "input: test pair 1/2" in said.text
    assert '{"y": 4}' in said.text
    assert connected.names["local_name"] == 2


@pytest.mark.parametrize(
    ("options", "passes", "message"),
    [
        ("--expect {'y': 6}", True, "local │ test t │ ✓ as expected"),
        ("--expect {'y': 7}", False, "output['y'] is 6, expected 7"),
        ("--expect-error", False, "completed, but an error was expected"),
    ],
)
def test_test_expectation_decides(connected, options, passes, message):
    connected.run(SETUP)
    connected.run(HANDLER)
    said = connected.run(f"%%runpod_test t {options}\n{{'x': 3}}")
    assert (said.error is None) == passes
    assert message in said.text


def test_test_expected_error_passes(connected):
    connected.run(SETUP)
    connected.run(HANDLER)
    said = connected.run("%%runpod_test t --expect-error KeyError\n{'z': 3}")
    assert said.error is None
    assert "local │ test t │ ✓ failed, as expected" in said.text
    assert connected.run(HANDLER).error is None, "not run on that input"


def test_test_compare_uses_the_last_accepted_output(connected):
    connected.run("def near(output, reference):\n    return abs(output - reference) < 2")
    handler = "%%runpod_handler --no-run\ndef handler(job):\n    return job['input'] + {}"
    connected.run(handler.format(0))
    test = "%%runpod_test t --compare near\n10"
    assert connected.run(test).error is None
    connected.run(handler.format(1))
    assert connected.run(test).error is None
    connected.run(handler.format(9))
    assert isinstance(connected.run(test).error, errors.JobFailed)


@pytest.fixture
def compared(connected):
    """Answer with this number from now on: a test's `--compare` sees it."""

    def answer(number):
        connected.run(f"%%runpod_handler --no-run\ndef handler(job):\n    return {{'n': {number}}}")
        return connected

    return answer


def test_test_compare_takes_a_ready_made_function_made_on_the_line(compared):
    test = "%%runpod_test t --compare rpnb.close(rtol=0.1)\n10"
    compared(1.0).run("import rpnb")
    assert "kept as the reference" in compared(1.0).run(test).text
    assert compared(1.05).run(test).error is None
    said = compared(2.0).run(test)
    assert "output.n: 1.05, then 2.0. To accept this output, run the cell once" in said.text


def test_test_without_compare_accepts_the_new_output(compared):
    test = "%%runpod_test t --compare near\n10"
    compared(1).run("def near(output, reference):\n    assert output == reference")
    compared(1).run(test)
    assert compared(2).run(test).error is not None
    compared(2).run("%%runpod_test t\n10")
    assert compared(2).run(test).error is None


def test_test_compare_with_another_input_has_another_reference(compared):
    compared(1).run("%%runpod_test t --compare rpnb.close()\nimport rpnb\n10")
    assert compared(2).run("%%runpod_test t --compare rpnb.close()\n20").error is None


def test_test_that_raises_here_counts_lines_as_typed(book):
    said = book.run("%%runpod_test t\nx = 1\n1 / 0")
    assert "----> 3 1 / 0" in said.text or "line 3" in said.text


def test_name_of_the_other_side_is_explained(connected):
    connected.run(SETUP)
    said = connected.run("factor[0]")
    assert "`factor` lives on local, made in cell" in said.text
    assert "(`%%runpod_setup model`)" in said.text


def test_module_of_the_other_side_is_named_with_its_version_there(connected, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)  # as if it were not installed here
    said = connected.run("import scipy")
    assert f"scipy {metadata.version('scipy')} is on local. Put `%%runpod_setup`" in said.text


@pytest.mark.filterwarnings("ignore::getpass.GetPassWarning")
def test_env_secret_that_nobody_can_type_is_a_sentence(connected, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    said = connected.run("%runpod_env NO_SUCH_TOKEN")
    assert isinstance(said.error, errors.BadInput)
    assert "nobody can be asked" in said.text


def test_restarted_kernel_finds_everything_unchanged(connected, new_book):
    connected.run(SETUP, "a")
    connected.run(HANDLER.replace("handler", "handler --input {'x': 1}", 1), "b")
    connected.shell.run_cell("%runpod_disconnect")
    again = new_book()
    said = again.run("%runpod_connect local --python " + sys.executable)
    assert "worker was warm │ from before: setup model, handler" in said.text
    assert "from before" in again.run("%runpod_status").text
    assert "│ unchanged │" in again.run(SETUP, "a").line
    said = again.run(HANDLER, "b")
    assert said.line.endswith("input: last run")
    assert '{"y": 2}' in said.text


def test_restarted_kernel_is_told_what_is_kept_and_knows_its_names(connected, new_book):
    connected.run("%%runpod_setup model\nimport time\nslow = time.sleep(0.06) or [2]", "a")
    connected.shell.run_cell("%runpod_disconnect")
    again = new_book()
    said = again.run("%runpod_connect local --python " + sys.executable)
    assert "from before: setup model │ slow kept (loaded" in said.text
    assert "slow kept" in again.run("%runpod_status").text
    assert "`slow` lives on local" in again.run("slow").text


def test_worker_that_was_restarted_keeps_nothing(connected, new_book):
    connected.run("%%runpod_setup model\nimport time\nslow = time.sleep(0.06) or [2]", "a")
    connected.run("%runpod_restart")
    connected.shell.run_cell("%runpod_disconnect")
    said = new_book().run("%runpod_connect local --python " + sys.executable)
    assert "kept" not in said.text


def test_handler_cell_alone_after_a_restart_keeps_the_model(connected, new_book):
    connected.run(SETUP, "a")
    connected.run(HANDLER.replace("handler", "handler --input {'x': 1}", 1), "b")
    connected.shell.run_cell("%runpod_disconnect")
    said = new_book().run(HANDLER, "b")
    assert '{"y": 2}' in said.text


def test_send_lasts_as_long_as_its_cell_says_so(connected, new_book):
    made = "import numpy as np\nbig, my_token = np.ones(9_000_000), 'abcdefgh12345678ABC'"
    connected.run(made)
    connected.run("%%runpod_setup --send big\nt = big.sum()", cell_id="c1")
    assert connected.run("%%runpod_setup --send my_token\nu = my_token", cell_id="c2").error is None
    said = connected.run("%%runpod_handler --input {}\ndef handler(job): return float(t)", "c3")
    assert "9000000.0" in said.text
    connected.run("%unload_ext rpnb")
    again = new_book()
    again.run("%runpod_connect")
    again.run(made)
    assert again.run("%runpod_run {}").error is None, "a cell from before has its option still"
    refused = again.run("%%runpod_setup\nu = my_token", cell_id="c2")
    assert "`my_token` looks like a secret" in refused.text


def test_status_says_which_cells_ran(connected):
    """After a step that raised, a connection anew, and a worker that died."""
    connected.run("%%runpod_setup first\na = 1", cell_id="c1")
    connected.run("%%runpod_setup second\nb = 1", cell_id="c2")
    connected.run("%%runpod_handler --input {}\ndef handler(job): return a + b", cell_id="c3")

    def states():
        rows = [line.split("  ") for line in connected.run("%runpod_status").text.splitlines()]
        cells = [[each for each in row if each] for row in rows if row[0].startswith("cell ")]
        return [cell[2].strip() for cell in cells]

    connected.run("%%runpod_setup second\nb = 1 / 0", cell_id="c2")
    assert states() == ["ran", "failed", "ran"]
    connected.run("%%runpod_setup second\nb = 2", cell_id="c2")
    connected.run("%runpod_run {}")
    anew = connected.run("%runpod_connect --keep")
    assert "drives this worker" not in anew.text
    connected.run("%runpod_disconnect")
    connected.run("%runpod_connect")
    assert states() == ["ran", "ran", "ran"]
    died = connected.run("%%runpod_setup second\nimport os\nb = os._exit(3)", cell_id="c2")
    assert states() == ["not run", "not run", "not run"]
    assert str(died.error).startswith("the worker ended by itself with exit code 3")
    connected.run("%%runpod_setup second\nb = 3", cell_id="c2")
    lost = connected.run("%%runpod_handler --input {}\nimport os\ndef handler(job): os._exit(3)")
    assert "exit code 3 in job" in str(lost.error)
    assert "None" not in lost.text


def test_drop_takes_a_cell_out(connected):
    connected.run(SETUP)
    dropped = connected.run("%runpod_drop model").line
    assert dropped == "local │ dropped cell 3 (setup model) │ its names go at the next run"
    said = connected.run("%runpod_drop model")
    assert "no cell of the program has the NAME or label 'model': it has none" in said.text
    said = connected.run(HANDLER)
    assert isinstance(said.error, errors.MissingName)


def test_program_is_what_export_writes(connected):
    connected.run(SETUP)
    connected.run(HANDLER)
    shown = connected.run("%runpod_program").text
    said = connected.run("%runpod_export")
    assert "wrote handler.py (" in said.text
    assert "│ try it: rpnb run handler.py --input " in said.text
    assert "│ try it: rpnb run out/h.py --input " in connected.run("%runpod_export out/h.py").text
    assert (connected.folder / "handler.py").read_text().strip() in shown


def test_export_verify_proves_the_recorded_jobs(connected):
    connected.run(SETUP)
    connected.run(HANDLER)
    connected.run("%runpod_run {'x': 1}\n%runpod_run {'x': 2}")
    said = connected.run("%runpod_export --verify")
    assert "verified: 2 of 2 recorded jobs equal in a fresh process" in said.text


def test_restart_rebuilds_the_program_in_a_new_worker(connected):
    connected.run(SETUP)
    connected.run("%%runpod_remote --to first\nimport os\nos.getpid()")
    connected.run("%runpod_restart")
    connected.run("%%runpod_remote --to second\nimport os\nos.getpid()")
    assert connected.names["first"] != connected.names["second"]
    assert (
        '{"y": 2}' in connected.run(HANDLER.replace("handler", "handler --input {'x': 1}", 1)).text
    )


def test_env_plain_setting_is_part_of_the_program(connected):
    connected.run("%runpod_env MODEL_NAME=sdxl")
    text = "%%runpod_handler --input 1\nimport os\ndef handler(job):\n    return os.environ[{!r}]"
    assert connected.run(text.format("MODEL_NAME")).text.rstrip().endswith('"sdxl"')


def test_env_secret_reaches_the_worker_and_no_file(connected, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "abc-secret")
    assert "HF_TOKEN taken from here, not stored" in connected.run("%runpod_env HF_TOKEN").line
    connected.run("%%runpod_remote --to got\nimport os\nos.environ['HF_TOKEN']")
    assert connected.names["got"] == "abc-secret"
    assert "abc-secret" not in connected.run("%runpod_program").text


@pytest.mark.parametrize("typed", ["HF_TOKEN=abc", "NAME=hf_abcdefgh"])
def test_env_secret_typed_in_the_notebook_is_refused(book, typed):
    said = book.run(f"%runpod_env {typed}")
    assert "this would be saved in the notebook" in said.text


def test_disconnect_and_stop_say_what_stays(connected):
    said = connected.run("%runpod_disconnect")
    assert said.text.strip() == "disconnected │ worker stays warm for 2 h · `%runpod_stop` ends it"
    assert connected.run("%runpod_stop").line.startswith("local │ worker stopped")


def test_no_target_anywhere_lists_the_forms(book):
    said = book.run("%%runpod_setup\nx = 1")
    assert isinstance(said.error, errors.BadTarget)
    assert "ssh" in said.text


@pytest.mark.parametrize("magic", ["%runpod_export", "%runpod_stop", "%runpod_disconnect"])
def test_headless_side_effects_do_nothing_and_say_so(book, monkeypatch, magic):
    monkeypatch.setenv("RPNB_HEADLESS", "1")
    assert f"{magic} does nothing here" in book.run(magic).text


def test_headless_target_overrules_the_notebook(book, monkeypatch):
    monkeypatch.setenv("RPNB_HEADLESS", "1")
    monkeypatch.setenv("RPNB_TARGET", "local")
    said = book.run(f"%runpod_connect no-such-host --python {sys.executable}")
    assert said.line.startswith("local │ Python")
    book.names["get_ipython"]()._rpnb_notebook.session.stop()


def test_time_above_a_magic_works(connected):
    said = connected.run("%%time\n" + SETUP)
    assert "│ setup model │ ran" in said.text
    assert "Wall time" in said.text


def test_help_shows_usage(book):
    assert "--input-file F" in book.shell.find_cell_magic("runpod_handler").__doc__


def test_job_called_from_python_is_not_the_next_cells_input(connected):
    """The quickstart's broken `rpnb.run` must not be what Run All runs the handler on."""
    connected.run(SETUP)
    handler = HANDLER.replace("%%runpod_handler", "%%runpod_handler --input {'x': 21}", 1)
    connected.run(handler)
    connected.run("import rpnb\nbroken = rpnb.run({'y': 1})")
    assert '{"y": 42}' in connected.run(HANDLER).text


def test_verify_runs_jobs_from_before_an_edit_again_and_draws_nothing_of_them(connected):
    text = "%%runpod_handler --input 1\ndef handler(job):\n    print('at work')\n    return {0}"
    connected.run(text.format(1), "h")
    connected.run(text.format(2).replace("--input 1", "--no-run"), "h")
    said = connected.run("%runpod_export --verify")
    assert "1 of 1 recorded job equal" in said.text
    assert "at work" not in said.text


def test_status_has_each_cells_state_and_names(connected):
    connected.run(SETUP, "a")
    connected.run("%%runpod_setup broken\nx = 1\n1 / 0", "b")
    connected.run("%%runpod_setup later\ny = 1", "c")
    rows = [line.split() for line in connected.run("%runpod_status").text.splitlines()[1:]]
    assert [row[2:5] for row in rows] == [
        ["%%runpod_setup", "model", "ran"],
        ["%%runpod_setup", "broken", "failed"],
        ["%%runpod_setup", "later", "not"],
    ]
    assert "factor" in rows[0]
    assert "time" not in rows[0]


def test_step_that_fails_in_another_cell_says_how_to_go_on(connected):
    connected.run("%%runpod_setup broken\n1 / 0", "b")
    said = connected.run("%%runpod_setup later\ny = 1", "c")
    assert "is part of the program: mend it, or `%runpod_drop broken`" in said.text
    connected.run("%runpod_drop broken")
    assert connected.run("%%runpod_setup later\ny = 1", "c").error is None


def test_run_of_a_test_with_several_inputs_runs_them_all(connected):
    connected.run(SETUP)
    connected.run(HANDLER)
    connected.run("%%runpod_test pair --no-run\n[{'x': 1}, {'x': 2}]")
    said = connected.run("%runpod_run pair")
    assert '{"y": 2}' in said.text
    assert '{"y": 4}' in said.text
    assert "input: test pair 2/2" in said.text


LAZY = """%%runpod_handler --no-form --input {{}}
class M: pass
MODEL, SEEN = None, {{}}
def get():
    global MODEL
    MODEL = MODEL or M()
def handler(job):
    {load}
    SEEN[{n}] = id(MODEL)
    return len(SEEN)"""


def test_lazy_load_in_the_handler_is_hinted_at_once_and_one_in_a_function_never(connected):
    inside = "global MODEL; MODEL = MODEL or M()"
    said = [connected.run(LAZY.format(load=inside, n=n)).text for n in range(3)]
    assert [said[1].count("each edit of the handler drops `MODEL`, which it fills itself"),
            sum(each.count("fills itself") for each in said)] == [1, 1]  # fmt: skip
    apart = [connected.run(LAZY.format(load="get()", n=n)).text for n in range(3)]
    assert "fills itself" not in "".join(apart)


def test_run_cold_compares_with_a_fresh_process_and_shows_the_difference(connected):
    connected.run("%%runpod_handler --no-run\nimport os\ndef handler(job):\n    return os.getpid()")
    said = connected.run("%runpod_run {} --cold")
    assert "0 of 1 recorded job" in said.line
    assert ", then " in said.line


def test_run_cold_names_the_state_that_differs(connected):
    connected.run(
        "%%runpod_setup\nimport os, threading\nborn = os.getpid()\ntags = {'a', 'b', 'c'}\n"
        "class Box:\n    def __init__(self): self.size, self.lock = [1], threading.Lock()\n"
        "class Kept:\n    all = []\n    __slots__ = ('n',)\n"
        "box, half, slots, _own, seen = Box(), Box(), Kept(), {}, {}\nslots.n = 0\n"
        "def get(kept=[]):\n    kept.append(1)\ndef same(kept=[]): ..."
    )
    handler = "%%runpod_handler --no-run\ndef handler(job):\n    seen[len(seen)] = 1\n"
    stores = "    half.size.append(1)\n    _own[len(_own)] = 1\n    Kept.all.append(slots)\n"
    connected.run(handler + stores + "    slots.n += 1\n    get()\n    return len(seen)")
    assert "0 of 1" not in connected.run("%runpod_run {} --cold").line
    differing = "state that differs: born, Kept, half, slots, _own, seen, get"
    assert connected.run("%runpod_run {} --cold").line.endswith(differing)


def test_run_that_times_out_says_so(connected):
    connected.run("%%runpod_handler --no-run\nimport time\ndef handler(job):\n    time.sleep(30)")
    said = connected.run("%runpod_run {} --timeout 0.2")
    assert "│ timed out after 0.2 s │" in said.line
    assert isinstance(said.error, errors.JobFailed)


def test_run_attaches_to_a_job_by_its_own_id(connected):
    connected.run(SETUP)
    connected.run(HANDLER)
    connected.run('%runpod_run {"input": {"x": 4}, "id": "mine"}')
    assert '{"y": 8}' in connected.run("%runpod_run --attach mine").text


def test_vs_code_opened_again_finds_its_cells_by_what_they_are(connected, new_book):
    uri = "vscode-notebook-cell:/w/b.ipynb#W{}sZmlsZQ%3D%3D"
    connected.run("%%runpod_setup one\nx = 1", uri.format(0))
    connected.run("%%runpod_setup two\ny = 2", uri.format(1))
    connected.shell.run_cell("%runpod_disconnect")
    again = new_book()
    # A cell was inserted above: VS Code's numbers have moved by one.
    assert "unchanged" in again.run("%%runpod_setup one\nx = 1", uri.format(1)).line
    assert "unchanged" in again.run("%%runpod_setup two\ny = 2", uri.format(2)).line
    assert again.run("%runpod_status").text.count("%%runpod_setup") == 2


def test_module_that_is_not_here_is_explained_once_connected(connected):
    said = connected.run("import no_such_module")
    assert (
        "no_such_module is not installed here. Where local has it, put `%%runpod_setup`"
        in said.text
    )


def test_streamed_job_is_no_news_for_the_next_kernel(connected, new_book):
    connected.run("%%runpod_handler --no-run\ndef handler(job):\n    yield 1")
    connected.run("import rpnb\nlist(rpnb.stream({}))")
    connected.shell.run_cell("%runpod_disconnect")
    said = new_book().run("%runpod_connect local --python " + sys.executable)
    assert "finished meanwhile" not in said.text


def test_setup_edit_says_what_it_loaded_again_and_what_it_kept(connected):
    """With a file that the cell finds by what another cell imports."""
    (connected.folder / "labels.txt").write_text("fox hen\n")
    connected.run("%%runpod_setup imports\nimport time\nfrom pathlib import Path", "a")
    text = (
        "%%runpod_setup model\nscale = 1.0\n"
        "labels = (Path(__file__).parent / 'labels.txt').read_text().split()\n"
        "table = [scale, time.sleep(0.1)]\nlen(labels)"
    )
    first = connected.run(text, "b")
    assert first.text.startswith("2\n"), first.text
    assert "table kept warm" in first.line
    looked = connected.run(text.replace("len(labels)", "labels[0]"), "b")
    assert "table kept" in looked.line
    assert "warm" not in looked.line
    assert "re-ran table" in connected.run(text.replace("1.0", "2.0"), "b").line
