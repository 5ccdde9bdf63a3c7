import pytest

from rpnb.jupyter.hints import OtherSide, hint

OTHER = OtherSide(
    "my-gpu",
    {"pipe": "Pipeline"},
    {"pipe": "cell 3 (`%%runpod_setup model`)"},
    {"torch": "2.9.1"},
)


def test_hint_name_on_the_target_says_where():
    assert hint(NameError("name 'pipe' is not defined", name="pipe"), OTHER) == (
        "`pipe` lives on my-gpu, made in cell 3 (`%%runpod_setup model`). "
        "See it: `%%runpod_remote`; run a job: `rpnb.run({...})`"
    )


def test_hint_module_on_the_target_says_how_to_run_there():
    said = hint(ModuleNotFoundError("no torch", name="torch.nn"), OTHER)
    assert said.startswith("torch 2.9.1 is on my-gpu. Put `%%runpod_setup`")


@pytest.mark.parametrize(
    "error", [NameError("x", name="x"), ModuleNotFoundError("x"), ValueError(), None]
)
def test_hint_of_another_error_is_none(error):
    assert hint(error, OTHER) is None


def test_hint_module_that_is_nowhere_known_is_no_promise():
    said = hint(ModuleNotFoundError("no tensorflow", name="tensorflow"), OTHER)
    assert said.startswith("tensorflow is not installed here. Where my-gpu has it, put")


def test_hint_of_a_module_without_a_connection_is_none():
    error = ModuleNotFoundError("no torch", name="torch")
    assert hint(error, OtherSide("rpnb", is_connected=False)) is None
