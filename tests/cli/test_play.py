"""What a person and what a program sees of a result."""

import json
from types import SimpleNamespace

import pytest

from rpnb.cli import play
from rpnb.cli.progress import Progress
from rpnb.session import updates
from rpnb.session.result import RemoteException, Result

DONE = Result("j1", "COMPLETED", '{"output": {"a": [1]}}', metrics={"seconds": 0.421})
RAISED = Result(
    "j2",
    "FAILED",
    '{"error": "…"}',
    exception=RemoteException("KeyError", "'prompt'", "cell 6", 3),
    metrics={"seconds": 0.3},
)
LOST = Result("j3", "FAILED", problem="output.x is bytes")

LINES = [
    (DONE, "local │ job j1 │ ✓ 0.42 s"),
    (RAISED, "local │ job j2 │ ✗ FAILED 0.30 s │ KeyError: 'prompt' — cell 6, line 3"),
    (LOST, "local │ job j3 │ ✗ FAILED │ output.x is bytes"),
    (Result("j", "FAILED", '{"error": ["a", "b"]}'), 'local │ job j │ ✗ FAILED │ ["a", "b"]'),
    (Result("j", "CANCELLED", problem="timed out after 2 s"), "CANCELLED │ timed out after 2 s"),
    (Result("j", "COMPLETED", '{"output": []}', stream=[1, 2]), "local │ job j │ ✓ │ 2 chunks"),
]


@pytest.mark.parametrize(("result", "said"), LINES)
def test_line_leads_with_the_target(result, said):
    assert play.line(result, "local").endswith(said)


def test_report_as_json_is_one_object_a_line(capsys):
    for result in (DONE, RAISED):
        play.report(result, as_json=True, label="local", progress=Progress())
    out = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in out] == [DONE.to_dict(), RAISED.to_dict()]


def test_report_for_people_keeps_stdout_for_the_output(capsys):
    play.report(DONE, as_json=False, label="local", progress=Progress())
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"a": [1]}
    assert "✓" in shown.err


def test_report_of_a_stream_prints_its_chunks(capsys):
    streamed = Result("j", "COMPLETED", '{"output": []}', stream=[{"t": 1}, "two"])
    play.report(streamed, as_json=False, label="local", progress=Progress())
    assert capsys.readouterr().out == '{"t": 1}\ntwo\n'


def test_interrupt_while_an_update_is_shown_cancels_the_job(capsys, monkeypatch):
    left, told = [], [updates.JobStarted("j1")]
    run = SimpleNamespace(watched=lambda: told, leave=left.append)
    progress = Progress()

    def press(_text):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "now", press)
    session = SimpleNamespace(submit=lambda *_, **__: run)
    with pytest.raises(KeyboardInterrupt):
        play.play(session, None, {"id": "j1"}, progress=progress)
    assert len(left) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "cancelled"


def test_outage_in_mid_job_is_said_once_and_goes_on_in_the_spinner(capsys, monkeypatch):
    told = [
        updates.LinkChanged("lost", 3, why="no route to host"),
        updates.LinkChanged("lost", 9, is_news=False),
        updates.LinkChanged("back", 12),
        updates.Finished(DONE),
    ]
    session = SimpleNamespace(submit=lambda *_, **__: SimpleNamespace(watched=lambda: told))
    progress, spun = Progress(), []
    monkeypatch.setattr(progress, "now", spun.append)
    assert play.play(session, None, {"id": "j1"}, progress=progress) is DONE
    lost = "link lost 3 s ago, job runs on, reconnecting: no route to host"
    assert capsys.readouterr().err.splitlines() == [lost, "link is back after 12 s"]
    assert [text.partition(",")[0] for text in spun[:2]] == [
        "link lost 3 s ago",
        "link lost 9 s ago",
    ]
