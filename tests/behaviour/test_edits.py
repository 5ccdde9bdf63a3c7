"""An edit re-runs what it must and nothing else; the model stays."""

from rpnb.session.updates import Done
from tests.behaviour.cells import program, run
from tests.showing import files_showing

MODEL = "import itertools\n\nclass Model:\n    pass\n\nmodel = Model()"
HANDLER = "def handler(job):\n    return [id(model), {}]"


def test_edited_handler_runs_against_the_same_model(session):
    first = run(session, program(MODEL, handler=HANDLER.format(1))).result.output
    seen = run(session, program(MODEL, handler=HANDLER.format(2)))
    assert seen.result.output == [first[0], 2]
    assert "handler" in seen.ran
    assert "model" not in seen.ran


def test_unchanged_program_runs_no_step(session):
    made = program(MODEL, handler=HANDLER.format(1))
    run(session, made)
    seen = run(session, made)
    assert seen.ran <= {"runpod"}
    assert seen.synced.cells["s1"]["state"] == "kept"


def test_comment_and_layout_reload_nothing(session):
    first = run(session, program(MODEL, handler=HANDLER.format(1))).result.output
    commented = MODEL.replace("model =", "# the weights\nmodel  =  ")
    seen = run(session, program(commented, handler=HANDLER.format(1)))
    assert seen.result.output == first
    assert "model" not in seen.ran


def test_edited_model_loads_again_and_what_uses_it_follows(session):
    base = "size = {}\nmodel = [0] * size\nlargest = len(model)"
    handler = "def handler(job):\n    return [len(model), largest]"
    assert run(session, program(base.format(2), handler=handler)).result.output == [2, 2]
    assert run(session, program(base.format(5), handler=handler)).result.output == [5, 5]


def test_removed_mutation_is_undone(session):
    handler = "def handler(job):\n    return items"
    with_change = program("items = [1]", "items.append(2)", handler=handler)
    assert run(session, with_change).result.output == [1, 2]
    assert run(session, program("items = [1]", handler=handler)).result.output == [1]


def test_removed_name_is_gone(session):
    handler = "def handler(job):\n    return 'extra' in globals()"
    assert run(session, program("extra = 1", handler=handler)).result.output is True
    assert run(session, program("other = 1", handler=handler)).result.output is False


def test_traceback_after_an_edit_above_names_the_new_line(session):
    handler = "def handler(job):\n    return 1 / 0"
    run(session, program("a = 1", handler=handler))
    seen = run(session, program("a = 1", handler=f"# one\n# more\n{handler}"))
    assert seen.result.exception.where == "cell 2, line 4"


def test_step_that_raises_ends_its_cell_and_is_tried_again(session):
    broken = program(
        "ready = True", "value = 1 / 0\nafter = 1", handler="def handler(job):\n    return 1"
    )
    seen = run(session, broken)
    assert seen.failed.phase == "step"
    assert seen.failed.exception.where == "cell 2, line 1"
    assert seen.failed.cell == "s2"
    fixed = program(
        "ready = True", "value = 1 / 1\nafter = 1", handler="def handler(job):\n    return after"
    )
    assert run(session, fixed).result.output == 1


def test_setup_output_streams_and_its_last_expression_is_shown(session):
    seen = run(session, program("print('loading')\n{'a': 1}"), show="s1")
    assert "loading\n" in seen.out
    assert seen.shown[0]["text/plain"] == b"{'a': 1}"
    assert isinstance(seen[-1], Done)


def test_captured_function_and_constant_travel_as_source(session):
    from rpnb.program.names import Names
    from rpnb.program.provenance import Provenance

    text = "LIMIT = 3\n\ndef cut(items):\n    return items[:LIMIT]\n"
    namespace = {}
    exec(text, namespace)  # an ordinary cell
    provenance = Provenance()
    provenance.record("cell 9", text, namespace)
    names = Names(namespace, provenance)
    made = program(handler="def handler(job):\n    return cut(job['input'])", names=names)
    assert run(session, made, [1, 2, 3, 4]).result.output == [1, 2, 3]
    assert "def cut(items):\n    return items[:LIMIT]" in made.text


def test_captured_array_travels_by_value_once(session):
    import numpy as np

    from rpnb.program.names import Names

    names = Names({"weights": np.arange(300_000.0)})
    made = program(handler="def handler(job):\n    return float(weights.sum())", names=names)
    assert run(session, made).result.output == float(np.arange(300_000.0).sum())


def test_plain_setting_is_in_the_environment(session):
    made = program(
        handler="import os\n\ndef handler(job):\n    return os.environ['MODEL_NAME']",
        env={"MODEL_NAME": "sdxl"},
    )
    assert run(session, made).result.output == "sdxl"


def test_restart_gives_the_same_program_a_new_process(session):
    made = program("import os", handler="def handler(job):\n    return os.getpid()")
    first = run(session, made).result.output
    session.restart()
    assert run(session, made).result.output != first


def test_secret_reaches_the_worker_and_no_file(session, target):
    session.set_env({"HF_TOKEN": "hf_verysecret"})
    made = program(handler="import os\n\ndef handler(job):\n    return len(os.environ['HF_TOKEN'])")
    assert run(session, made).result.output == len("hf_verysecret")
    assert files_showing("hf_verysecret", [target.home]) == set()
    assert files_showing("HF_TOKEN", [target.home]), "the program names it"
