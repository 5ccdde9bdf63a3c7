import importlib
import json
import subprocess
import sys

import pytest

import rpnb


def test_all_is_sorted_and_without_doubles():
    assert rpnb.__all__ == sorted(set(rpnb.__all__))


def test_all_is_every_public_name():
    assert set(rpnb.__all__) == {*rpnb._HOMES, "errors"}


@pytest.mark.parametrize("name", rpnb.__all__)
def test_public_name_is_there(name):
    assert getattr(rpnb, name) is not None


@pytest.mark.parametrize("name", sorted(rpnb._HOMES))
def test_public_name_comes_from_where_it_is_defined(name):
    home = f"rpnb.{rpnb._HOMES[name]}"
    assert getattr(rpnb, name) is getattr(importlib.import_module(home), name)
    assert getattr(rpnb, name).__module__ == home


def test_public_names_are_offered_to_completion():
    assert set(rpnb.__all__) <= set(dir(rpnb))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'handle'"):
        rpnb.handle  # noqa: B018 - the access is what is tested


def test_star_import_gives_the_public_names():
    names: dict[str, object] = {}
    exec("from rpnb import *", names)
    assert set(rpnb.__all__) <= set(names)


def test_import_rpnb_imports_nothing_else_of_it():
    code = "import sys, json, rpnb; print(json.dumps([m for m in sys.modules if 'rpnb' in m]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = [name for name in json.loads(run.stdout) if not name.startswith("__editable__")]
    assert loaded == ["rpnb"]
