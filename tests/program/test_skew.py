"""A value that another major version of its library would misread is not sent."""

import numpy as np
import pytest

from rpnb.errors import CannotCapture, ProgramError
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names

HERE = np.__version__
OTHER = f"{int(HERE.split('.')[0]) + 1}.0.1"
USE = "def handler(job):\n    return float(weights.sum())"


def _program(packages, source=USE, **options):
    names = Names({"weights": np.arange(5000.0), "n": 3}, packages=packages, **options)
    return build([Cell("h", "handler", "", "cell 2", source)], names)


def test_other_major_is_an_error_with_both_versions_and_a_remedy():
    with pytest.raises(ProgramError) as raised:
        _program({"numpy": OTHER})
    said = str(raised.value)
    assert f"numpy {HERE}; the target has numpy {OTHER}" in said
    assert f"%pip install numpy=={HERE.split('.')[0]}.*" in said
    assert "cell 2" in said


@pytest.mark.parametrize("packages", [{}, {"numpy": HERE}, {"pandas": "99.0"}, {"numpy": ""}])
def test_same_major_unknown_or_unused_is_none(packages):
    assert _program(packages).files


def test_program_that_installs_the_package_itself_is_trusted():
    assert _program({"numpy": OTHER}, f"!pip install 'numpy=={HERE}'\n{USE}").files


def test_send_allows_it():
    assert _program({"numpy": OTHER}, send=["weights"]).files


def test_value_without_such_objects_is_none():
    assert _program({"numpy": OTHER}, "def handler(job):\n    return n").text


def test_error_is_one_for_a_value_that_cannot_travel():
    with pytest.raises(CannotCapture):
        from rpnb.program.skew import check

        check("x", ["numpy"], {"numpy": OTHER})
