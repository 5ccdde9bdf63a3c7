import base64
import ensurepip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import venv
import zipfile
from pathlib import Path

import pytest

from rpnb import errors
from rpnb.agent import overlay, parent, pip


def put_wheel(folder, name, version, requires=()):
    """A wheel with one module that knows its version."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}\n"
        for path, text in files.items()
    ]
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """The only package index: a folder. The newest SDK asks for a newer `net`, as the real one."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    put_wheel(folder, "net", "1.0")
    put_wheel(folder, "net", "2.0")
    put_wheel(folder, "runpod", "1.9.1", ["net"])
    put_wheel(folder, "runpod", "1.12.0", ["net>=2"])
    put_wheel(folder, "cloudpickle", "3.1.3")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(pip, "GOOD_SINCE", (0,))
    return folder


@pytest.fixture
def python(tmp_path):
    """A Python of its own with no package at all, pip included."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    return str(tmp_path / "env/bin/python")


def site_of(python):
    return next(iter((overlay.Path(python).parents[1] / "lib").glob("python3*"))) / "site-packages"


def have(python, name, version):
    """Let the parent Python have a distribution."""
    site = site_of(python)
    (site / f"{name}.py").write_text(f"VERSION = {version!r}\n")
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(text)
    (info / "RECORD").write_text("")


def version_there(python, found, name):
    """The version of a module that a worker with this overlay imports."""
    code = (
        f"import sys; sys.path[:0] = {found.shadows!r}; sys.path += {found.path!r}; "
        f"import {name}; print({name}.VERSION)"
    )
    run = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_overlay_of_a_bare_python_has_the_newest_sdk(python, wheels, tmp_path):
    found = overlay.prepare(python, tmp_path)
    assert (found.sdk, version_there(python, found, "runpod")) == ("1.12.0", "1.12.0")
    assert version_there(python, found, "cloudpickle") == "3.1.3"


def test_overlay_keeps_the_parents_own_versions(python, wheels, tmp_path):
    """An SDK that fits is taken, rather than a newer `net` brought over the person's own."""
    have(python, "net", "1.0")
    found = overlay.prepare(python, tmp_path)
    assert (found.sdk, version_there(python, found, "net")) == ("1.9.1", "1.0")


def test_overlay_holds_only_what_is_missing(python, wheels, tmp_path):
    have(python, "net", "2.0")
    have(python, "cloudpickle", "2.2.1")
    [site] = overlay.prepare(python, tmp_path).path
    held = {path.name for path in overlay.Path(site).glob("*.dist-info")}
    assert held == {"runpod-1.12.0.dist-info"}


def test_overlay_of_a_python_that_has_both_is_empty(python, tmp_path):
    have(python, "runpod", "1.10.0")
    have(python, "cloudpickle", "3.0.0")
    assert overlay.prepare(python, tmp_path) == overlay.Overlay(sdk="1.10.0")


def test_overlay_leaves_the_parent_untouched(python, wheels, tmp_path):
    before = sorted(site_of(python).rglob("*"))
    overlay.prepare(python, tmp_path)
    assert sorted(site_of(python).rglob("*")) == before


def test_overlay_is_unpacked_beside_itself_where_tmp_is_tiny(python, wheels, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tiny"))
    asked, popen = [], subprocess.Popen

    def noted(command, **options):
        if "install" in command:
            asked.append(Path(options["env"]["TMPDIR"]))
            assert asked[-1].is_dir()
        return popen(command, **options)

    monkeypatch.setattr(overlay.pip.subprocess, "Popen", noted)
    overlay.prepare(python, tmp_path / "home")
    assert asked and all(tmp_path / "home" in each.parents for each in asked)
    assert not any(each.exists() for each in asked)


def test_overlay_the_second_time_runs_nothing(python, wheels, tmp_path, monkeypatch):
    first = overlay.prepare(python, tmp_path)
    monkeypatch.setattr(overlay.pip, "find", None)
    monkeypatch.setattr(parent, "_ask", None)
    assert overlay.prepare(python, tmp_path) == first


def test_overlay_after_an_unrelated_package_is_the_same(python, wheels, tmp_path, monkeypatch):
    first = overlay.prepare(python, tmp_path)
    have(python, "numpy", "2.0.0")
    monkeypatch.setattr(overlay.pip, "find", None)
    assert overlay.prepare(python, tmp_path) == first


def test_overlay_after_a_related_package_is_made_anew(python, wheels, tmp_path):
    overlay.prepare(python, tmp_path)
    have(python, "net", "1.0")
    assert overlay.prepare(python, tmp_path).sdk == "1.9.1"


def test_overlay_with_an_sdk_goes_before_the_parents_own(python, wheels, tmp_path):
    have(python, "runpod", "1.12.0")
    have(python, "cloudpickle", "3.0.0")
    found = overlay.prepare(python, tmp_path, sdk="1.9.1")
    assert (found.sdk, version_there(python, found, "runpod")) == ("1.9.1", "1.9.1")


def test_overlay_with_an_sdk_older_than_the_runner_knows_is_replaced(python, wheels, tmp_path):
    have(python, "runpod", "1.6.0")
    found = overlay.prepare(python, tmp_path)
    assert version_there(python, found, "runpod") == found.sdk == "1.12.0"


def test_overlay_says_what_it_installs(python, wheels, tmp_path):
    said = []
    overlay.prepare(python, tmp_path, on_progress=said.append)
    assert any("runpod 1.12.0" in text and text.endswith("and 1 more") for text in said)


def test_overlay_without_an_index_names_the_remedy(python, tmp_path, wheels):
    for wheel in wheels.iterdir():
        wheel.unlink()
    with pytest.raises(errors.CannotPrepare, match="no package index .* PIP_INDEX_URL"):
        overlay.prepare(python, tmp_path)


def test_overlay_of_an_sdk_that_is_not_there_says_which(python, tmp_path, wheels):
    with pytest.raises(errors.CannotPrepare, match="runpod==9.9"):
        overlay.prepare(python, tmp_path, sdk="9.9")


def test_overlay_that_cannot_fit_goes_behind_what_is_there_and_says_so(python, tmp_path, wheels):
    """No SDK fits this old `net`: the newest is still worth a try, and nothing is replaced."""
    (wheels / "runpod-1.9.1-py3-none-any.whl").unlink()
    have(python, "net", "1.0")
    said = []
    found = overlay.prepare(python, tmp_path / "root", on_progress=said.append)
    assert any("does not fit" in line and "depends on net>=2" in line for line in said)
    assert version_there(python, found, "runpod") == "1.12.0"
    assert version_there(python, found, "net") == "1.0"


def test_pip_that_searches_for_ever_is_stopped(python, tmp_path, monkeypatch):
    monkeypatch.setattr(pip, "RESOLVE_TIMEOUT", 0.2)
    endless = pip.Pip((str(python), "-c", "import time; time.sleep(60)"))
    with pytest.raises(pip.DoesNotFit, match="found no runpod that fits"):
        endless.resolve(["runpod"], None)


def test_overlay_that_failed_leaves_nothing_half_made(python, tmp_path, wheels):
    with pytest.raises(errors.CannotPrepare):
        overlay.prepare(python, tmp_path, sdk="9.9")
    assert [path for path in (tmp_path / "overlay").iterdir() if path.is_dir()] == []


def test_overlay_made_by_two_at_once_is_made_once(python, wheels, tmp_path):
    said, found = [], []

    def prepare():
        found.append(overlay.prepare(python, tmp_path, on_progress=said.append))

    threads = [threading.Thread(target=prepare) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert sum(text.startswith("installing") for text in said) == 1


def test_overlay_in_a_read_only_place_is_no_space(python, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(errors.NoSpace):
        overlay.prepare(python, tmp_path / "file")


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false", "/etc/passwd"])
def test_overlay_for_what_is_no_python_says_so(python, tmp_path):
    with pytest.raises(errors.CannotPrepare, match=f"{python} does not run"):
        overlay.prepare(python, tmp_path)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", errors.NoSpace),
        ("ERROR: [Errno 30] Read-only file system: '/workspace'", errors.NoSpace),
        ("WARNING: Retrying … Temporary failure in name resolution", errors.CannotPrepare),
        ("", errors.CannotPrepare),
    ],
)  # fmt: skip
def test_pip_failure_becomes_ours(text, error):
    assert type(pip._failure(text, ["runpod"])) is error


def bare(executable, **given):
    return parent.Parent(executable, (3, 11, 0), {}, **{"has_pip": False, "bundled": "", **given})


def test_pip_of_the_parent_is_taken_first():
    assert pip._here(bare("/p", has_pip=True)).command == ("/p", "-m", "pip")


def test_pip_of_another_python_installs_for_one_without(python, tmp_path, monkeypatch):
    monkeypatch.setattr(pip, "_wheels", lambda _parent: [])
    assert pip._here(bare(python)).command == (sys.executable, "-m", "pip", "--python", python)


def test_pip_nowhere_names_the_remedy(monkeypatch):
    monkeypatch.setattr(pip, "_wheels", lambda _parent: [])
    monkeypatch.setattr(pip, "_others", lambda _parent: ["/bin/false", "/nowhere"])
    with pytest.raises(errors.CannotPrepare, match="/p has no pip.*apt-get install python3-pip"):
        pip._here(bare("/p"))


def test_pip_too_old_to_plan_still_installs(python, wheels, tmp_path, monkeypatch):
    monkeypatch.setattr(pip.Pip, "resolve", lambda *_arguments: None)
    found = overlay.prepare(python, tmp_path)
    assert version_there(python, found, "runpod") == "1.12.0"


@pytest.fixture
def pip_wheel(wheels, monkeypatch):
    """An index that has pip, and a rule that calls every pip old."""
    # Debian keeps what ensurepip installs elsewhere.
    folders = [overlay.Path(ensurepip.__file__).parent / "_bundled", "/usr/share/python-wheels"]
    found = [wheel for folder in folders for wheel in overlay.Path(folder).glob("pip-*.whl")]
    shutil.copy(found[0], wheels)
    monkeypatch.setattr(pip, "GOOD_SINCE", (99,))


def test_pip_that_is_old_is_renewed_on_the_side(python, pip_wheel, tmp_path):
    overlay.prepare(python, tmp_path)
    [folder] = (tmp_path / "overlay").glob("pip-*")
    assert (folder / "pip/__init__.py").is_file()


def test_pip_that_cannot_be_renewed_does_the_work_itself(python, wheels, tmp_path, monkeypatch):
    monkeypatch.setattr(pip, "GOOD_SINCE", (99,))
    assert overlay.prepare(python, tmp_path).sdk == "1.12.0"


def test_parent_reads_what_it_has(python, tmp_path):
    have(python, "Some.Thing", "1.0")
    cache = tmp_path / "cache.json"
    assert parent.read(python, cache).version_of("some_thing") == "1.0"


def test_parent_with_a_broken_cache_is_asked_again(python, tmp_path):
    cache = tmp_path / "cache.json"
    cache.write_text(json.dumps({"python": python}))
    assert parent.read(python, cache).executable == python
