"""Any Python to any Python: the pairs that differ in kind. `make minors` runs all of them."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from tests.minors.pairs import EQUAL, OLDER, REFUSALS, REFUSED, Environment, number, pythons
from tests.minors.table import CASES

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
# To an older one, to a newer one, to the same; over one version and over several.
PAIRS = [("3.13", "3.9"), ("3.10", "3.13"), ("3.12", "3.11"), (OWN, OWN)]
PYTHONS = pythons()
WANTED = "needs Python {} and {}, for example below ~/.pyenv/versions"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("minors"))


@pytest.mark.slow  # 160 programs for each pair, each run by a real worker
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("local", "target"), PAIRS, ids=list(map("->".join, PAIRS)))
def test_what_is_defined_under_one_python_is_the_same_under_another(
    environment: Environment, local: str, target: str
) -> None:
    if not {local, target} <= PYTHONS.keys():
        pytest.skip(WANTED.format(local, target))
    built = environment.define(PYTHONS[local], [target])[target]
    outcomes = environment.run(PYTHONS[target], target, built)
    wrong = [each for each in outcomes if each.kind not in (EQUAL, REFUSED, OLDER)]
    assert not wrong
    counts = Counter(each.kind for each in outcomes)
    assert counts[REFUSED] == len(REFUSALS)
    assert counts[OLDER] == sum(number(target) < CASES[name].since for name in built)
    able = len(built) - counts[OLDER]
    assert counts[EQUAL] / able >= 0.99
