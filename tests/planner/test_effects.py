"""What calls and stores do to libraries."""

from __future__ import annotations

import pytest

from rpnb.planner.effects import RANDOM, is_effect_verb, is_standard, resources


@pytest.mark.parametrize(
    ("path", "form", "expected"),
    [
        ("os.environ", "store", {"environ"}),
        ("os.environ.update", "bare", {"environ"}),
        ("os.environ.setdefault", "use", {"environ"}),
        ("os.environ.get", "use", set()),
        ("os.chdir", "bare", {"cwd"}),
        ("sys.path.insert", "bare", {"path"}),
        ("sys.modules", "store", {"world"}),
        ("logging.getLogger.setLevel", "bare", {"logging"}),
        ("transformers.logging.set_verbosity_error", "bare", {"logging"}),
        ("torch.backends.cudnn.benchmark", "store", {"torch.flags"}),
        ("torch.set_default_dtype", "bare", {"torch.flags"}),
        ("torch.set_default_tensor_type", "bare", {"world"}),
        ("torch.manual_seed", "bare", {"torch.random"}),
        ("torch.manual_seed", "use", {"torch.random"}),
        ("numpy.random.seed", "bare", {"numpy.random"}),
        ("transformers.set_seed", "bare", RANDOM),
        ("pandas.set_option", "bare", {"pandas.options"}),
        ("pandas.options.display.max_rows", "store", {"pandas.options"}),
        ("pandas.options.display.max_rows", "use", set()),
        ("numpy.seterr", "bare", {"numpy.options"}),
        ("sklearn.set_config", "bare", {"sklearn.options"}),
        ("torch.cuda.empty_cache", "bare", set()),
        ("os.makedirs", "bare", set()),
        ("shutil.rmtree", "bare", set()),
        ("asyncio.sleep", "bare", set()),
        ("runpod.api_key", "store", {"world"}),
        ("lib.set_mode", "verb", {"world"}),
        ("lib.anything", "bare", {"world"}),
        ("lib.anything", "use", set()),
        ("lib.MODE", "store", {"world"}),
    ],
)
def test_library_call_writes_these_resources(path: str, form: str, expected: set[str]) -> None:
    assert resources(path, form) == expected


@pytest.mark.parametrize("name", ["set_seed", "register_model", "login", "patch", "setLevel"])
def test_effect_verb_is_known(name: str) -> None:
    assert is_effect_verb(name)


@pytest.mark.parametrize("name", ["load", "from_pretrained", "setting", "seeded", "initial"])
def test_other_verbs_are_not(name: str) -> None:
    assert not is_effect_verb(name)


def test_standard_library_is_told_from_the_rest() -> None:
    assert is_standard("os.path")
    assert not is_standard("numpy")
