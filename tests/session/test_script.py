"""The program of a plain script: what the target cannot take is found before it is sent."""

import numpy as np
import pytest

from rpnb.errors import CannotCapture
from rpnb.session.script import Script

SOURCE = "def handler(job):\n    return float(weights.sum())\n"


@pytest.fixture
def namespace(tmp_path):
    file = tmp_path / "work.py"
    file.write_text(SOURCE)
    found = {"__file__": str(file), "weights": np.zeros(5000)}
    exec(compile(SOURCE, file, "exec"), found)
    return found


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"packages": {"numpy": "99.0"}}, r"`weights` is of numpy.* the target has numpy 99\.0"),
    ],
)
def test_script_names_what_the_target_would_misread_or_lacks(namespace, info, said):
    script = Script(lambda: {"python": "3.11.7", **info})
    with pytest.raises(CannotCapture, match=f"(?s){said}.*work.py, line 2"):
        script.with_handler(namespace["handler"], namespace)


def test_script_is_built_where_the_target_has_it(namespace):
    info = {"packages": {"numpy": np.__version__}}
    program = Script(lambda: info).with_handler(namespace["handler"], namespace)
    assert [path.split("-")[0] for path in program.files] == ["data/weights"]
