import pytest

from rpnb.jupyter import lines
from rpnb.session.history import PastJob

PIPE = {"name": "pipe", "bytes": 6_900_000_000, "seconds": 41.0, "age": 720.0}
OCR = {"name": "ocr", "bytes": 0, "seconds": 1.0, "age": 8.0}
GPU = {"index": 0, "name": "RTX 4090", "used_bytes": 7_400_000_000, "total_bytes": 24_000_000_000}

AGAIN = {"names": ["ocr"], "reason": "`OPTIONS` changed"}


def test_join_without_box_uses_a_bar():
    assert lines.join(("local", "", "handler"), box=False) == "local | handler"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            lines.connected("local", {"python": "3.12.4", "sdk": "1.12.0", "gpus": []}, 0.52),
            "local │ Python 3.12.4 · runpod 1.12.0 · no GPU │ worker ready in 0.5 s",
        ),
        (
            lines.setup("my-gpu", "setup model", 41.2, [PIPE], lines.vram([GPU])),
            "my-gpu │ setup model │ ran 41.2 s │ pipe 6.9 GB · VRAM 7.4 / 24 GB",
        ),
        (
            lines.setup("local", "setup model", 1.1, [OCR], ""),
            "local │ setup model │ ran 1.1 s │ ocr kept warm",
        ),
        (
            lines.setup("local", "setup model", 0.1, [], "", stayed=[OCR]),
            "local │ setup model │ ran 0.1 s │ ocr kept",
        ),
        (
            lines.setup("local", "setup model", 1.1, [OCR], "", steps=[AGAIN]),
            "local │ setup model │ ran 1.1 s │ re-ran ocr",
        ),
        (
            lines.unchanged("my-gpu", "setup model", [PIPE]),
            "my-gpu │ setup model │ unchanged │ "
            "pipe kept (6.9 GB, loaded 12 min ago) · --again runs it anew",
        ),
        (
            lines.completed("local", lines.Times(0.42, 0.42), lines.keeping([OCR]), "test receipt"),
            "local │ handler │ ✓ 0.42 s (link 0.00 · handler 0.42) │ ocr kept │ "
            "input: test receipt",
        ),
        (
            lines.failed("my-gpu", "FAILED", 0.3, "KeyError 'prompt' — cell 6, line 3"),
            "my-gpu │ handler │ ✗ FAILED after 0.3 s │ KeyError 'prompt' — cell 6, line 3",
        ),
        (
            lines.not_run("my-gpu", "prompt"),
            "my-gpu │ handler │ not run: `prompt` is required │ fill in the form or add --input",
        ),
        (
            lines.reloads("my-gpu", ["pipe"], 41, "line 4 of `model` changed"),
            "my-gpu │ pipe reloads (about 41 s): line 4 of `model` changed │ "
            "Interrupt keeps the old one",
        ),
        (
            lines.link("my-gpu", "lost", 3),
            "my-gpu │ link lost 3 s ago │ job runs on │ reconnecting",
        ),
        (
            lines.link("my-gpu", "lost", 3, is_confirmed=False),
            "my-gpu │ link lost 3 s ago │ sent, not confirmed yet │ reconnecting",
        ),
        (
            lines.link("my-gpu", "away", 3, "no route to host"),
            "my-gpu │ no link for 3 s │ the run waits │ reconnecting │ no route to host",
        ),
        (
            lines.cancelled("my-gpu", 17, [OCR]),
            "my-gpu │ cancelled after 17 chunks │ ocr kept",
        ),
        (
            lines.killed("my-gpu", 1, "timed out after 3 s"),
            "my-gpu │ timed out after 3 s │ "
            "it did not stop: its worker was ended, and the program is loaded anew",
        ),
        (
            lines.killed("my-gpu", 0, "the worker was stopped"),
            "my-gpu │ the worker was stopped │ the program is loaded anew",
        ),
        (
            lines.disconnected(7200.0, None),
            "disconnected │ worker stays warm for 2 h · `%runpod_stop` ends it",
        ),
    ],
)
def test_line_reads_as_the_interface_says(line, expected):
    assert lines.join(line) == expected


def test_times_name_setup_only_where_it_counts():
    assert "set-up 1.20" in str(lines.Times(2.0, 0.5, 1.2))
    assert "set-up" not in str(lines.Times(2.0, 0.5, 0.01))


def test_reran_leaves_first_runs_out():
    steps = [{"names": ["a"], "reason": "new"}, {"names": ["b", "c"], "reason": "changed"}]
    assert lines.reran(steps) == "re-ran b, c"


def test_keeping_names_the_large_ones_with_size():
    assert lines.keeping([PIPE, OCR]) == "pipe kept (6.9 GB)"
    assert lines.keeping([]) == ""


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (4_000_000, ""),
        (6_000_000, "JSON 6.0 MB, of the 10 MB of /run"),
        (12_000_000, "JSON 12.0 MB, of the 20 MB of /runsync"),
        (25_000_000, "JSON 25.0 MB, over the 20 MB of /runsync"),
    ],
)
def test_json_size_named_over_half_a_limit(count, expected):
    assert lines.json_size(count) == expected


def test_gpus_of_one_kind_are_counted():
    assert lines.gpus([GPU, GPU]) == "2 × RTX 4090 24 GB"


def test_finished_meanwhile_names_jobs_and_how_to_see_them():
    said = lines.join(lines.finished_meanwhile("my-gpu", [PastJob("7f3a11", "j", "COMPLETED", 0)]))
    assert "1 job finished meanwhile: 7f3a COMPLETED" in said
    assert said.endswith("→ `%runpod_run --attach 7f3a`")


def test_job_that_still_runs_is_named_with_how_to_follow_it():
    said = lines.join(lines.still_running("my-gpu", PastJob("7f3a11", "j", "IN_PROGRESS", 0)))
    assert "job 7f3a still runs" in said
    assert said.endswith("→ `%runpod_run --attach 7f3a`")
