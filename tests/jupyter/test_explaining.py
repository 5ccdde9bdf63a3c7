"""%runpod_explain: why a step ran again or stayed warm."""

from rpnb import errors

SETUP = "%%runpod_setup model\nscale = 2\nmodel = [scale]"
HANDLER = "%%runpod_handler --input {{}}\ndef handler(job):\n    return [model[0], {}]"


def test_before_any_run_it_says_so(connected):
    assert "nothing has run from this kernel yet" in connected.run("%runpod_explain").line


def test_each_step_of_the_last_run_has_its_reason(connected):
    connected.run(SETUP, "s")
    connected.run(HANDLER.format(1), "h")
    connected.run(HANDLER.format(2), "h")
    said = connected.run("%runpod_explain").text
    assert "│ 1 step ran, 2 stayed warm" in said
    assert "model = [scale]" in said
    rows = [line for line in said.splitlines() if line.startswith("cell")]
    assert [line.endswith("stayed warm") for line in rows if "model =" in line] == [True]
    assert any(line.endswith("ran: `handler` changed") for line in rows)


def test_name_shows_what_made_it_reload_and_when_it_ran_before(connected):
    connected.run(SETUP, "s")
    connected.run(HANDLER.format(1), "h")
    connected.run(SETUP.replace("= 2", "= 3"), "s")
    said = connected.run("%runpod_explain model")
    assert said.line.endswith("ran: uses `scale`")
    connected.run(HANDLER.format(2), "h")
    assert connected.run("%runpod_explain model").line.endswith("│ stayed warm")
    assert "uses `scale`" in connected.run("%runpod_explain model").text


def test_new_worker_is_explained_by_its_cause(connected):
    connected.run("%%runpod_setup\nimport wave\nwave.MODE = 1", "s")
    connected.run("%%runpod_setup\nimport wave", "s")
    assert connected.run("%runpod_explain").line.endswith("new worker: `wave.MODE = 1` was removed")


def test_mistyped_name_is_an_error_that_names_the_near_one(connected):
    connected.run(SETUP, "s")
    said = connected.run("%runpod_explain modle")
    assert isinstance(said.error, errors.BadInput)
    assert "did you mean model?" in str(said.error)


def test_status_says_why_a_cell_ran_again(connected):
    connected.run(SETUP, "s")
    connected.run(SETUP.replace("= 2", "= 3"), "s")
    assert "ran scale, model: `scale` changed" in connected.run("%runpod_status").text
