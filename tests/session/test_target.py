import pytest

from rpnb.errors import BadTarget
from rpnb.session.target import default_target


def test_environment_names_the_target(tmp_path, monkeypatch):
    monkeypatch.setenv("RPNB_TARGET", "my-gpu")
    assert default_target(tmp_path) == "my-gpu"


def test_nearest_pyproject_names_the_target(tmp_path, monkeypatch):
    monkeypatch.delenv("RPNB_TARGET", raising=False)
    (tmp_path / "pyproject.toml").write_text('[tool.rpnb]\ntarget = "box"\n')
    (tmp_path / "notebooks").mkdir()
    assert default_target(tmp_path / "notebooks") == "box"


def test_no_target_lists_the_forms(tmp_path, monkeypatch):
    monkeypatch.delenv("RPNB_TARGET", raising=False)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(BadTarget, match=r"local · HOST"):
        default_target(tmp_path)


def test_broken_pyproject_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("RPNB_TARGET", raising=False)
    (tmp_path / "pyproject.toml").write_text("[tool.rpnb\n")
    with pytest.raises(BadTarget, match=r"pyproject.toml cannot be read"):
        default_target(tmp_path)
