import json

import pytest

from rpnb.session.result import RemoteException, Result


def result(posted, **rest):
    return Result("j1", rest.pop("status", "COMPLETED"), json.dumps(posted), **rest)


def test_output_is_what_production_would_post():
    assert result({"output": {"lines": [1]}}).output == {"lines": [1]}


@pytest.mark.parametrize("error", ["boom", ["a", "b"], {"code": 3}])
def test_error_of_any_shape_is_passed_on_unchanged(error):
    assert result({"error": error}, status="FAILED").error == error


def test_dictionary_has_the_posts_own_keys_and_the_rest_beside_them():
    told = result({"output": 1, "stopPod": True}, progress=[0.5], metrics={"seconds": 2}).to_dict()
    assert told == {
        "id": "j1",
        "status": "COMPLETED",
        "output": 1,
        "stopPod": True,
        "stream": [],
        "progress": [0.5],
        "metrics": {"seconds": 2},
    }


def test_result_that_production_would_lose_has_no_output_but_a_problem():
    lost = Result("j1", "FAILED", None, problem="output is a set")
    assert (lost.ok, lost.output, lost.to_dict()["problem"]) == (False, None, "output is a set")
    assert "output" not in lost.to_dict()


def test_save_writes_the_result_its_logs_and_its_files(tmp_path):
    import base64

    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()
    saved = result({"output": {"image": picture}}, logs="hi\n").save(tmp_path / "new")
    assert sorted(path.name for path in saved) == ["image.png", "logs.txt", "result.json"]
    assert json.loads(saved[0].read_text())["output"] == {"image": picture}


def test_exception_says_where_it_was_raised():
    raised = RemoteException("KeyError", "'prompt'", cell="cell 6", line=3)
    assert (raised.where, str(raised)) == ("cell 6, line 3", "KeyError: 'prompt'")


def test_exception_without_a_place_says_none():
    assert RemoteException("KeyError", "").where is None


def test_long_output_is_cut_in_the_repr():
    assert len(repr(result({"output": "x" * 5000}))) < 300
