"""rpnb from a plain Python script: a real file, run as a person runs it, on every target."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys

import rpnb

LIMIT = 2


def cut(words):
    return words[:LIMIT]


@rpnb.setup
def load():
    global lexicon
    print("loading")
    lexicon = {"fox": "Fuchs"}


@rpnb.handler
def translate(job):
    return [lexicon.get(word, word) for word in cut(job["input"])]


with rpnb.connect(sys.argv[1], name="script", python=sys.executable) as session:
    try:
BODY
    finally:
        session.stop()
"""

# What the way to the target has no part in.
here = pytest.mark.parametrize("target", ["local"], indirect=True)


@pytest.fixture
def run_script(tmp_path, target):
    """Run the script with this body; return what it printed."""

    def run(body):
        lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
        file = tmp_path / "work.py"
        file.write_text(SCRIPT.replace("BODY", lines))
        done = subprocess.run(
            [sys.executable, str(file), target.text], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\n")[:-1]

    return run


def test_marked_functions_are_setup_and_handler(run_script):
    said = run_script('print(session.run(["fox", "hare", "owl"]).output)')
    assert said == ["['Fuchs', 'hare']"]


@here
def test_setup_text_and_a_function_given_as_handler(run_script):
    said = run_script("""
session.setup("factor = 3")
def triple(job):
    return factor * job["input"]
print(session.run(5, handler=triple).output)
""")
    assert said == ["15"]


@here
def test_handler_made_by_a_function_travels_by_value(run_script):
    said = run_script("""
def make(power):
    return lambda job: job["input"] ** power
print(session.run(3, handler=make(2)).output)
""")
    assert said == ["9"]


def test_handler_file_runs_with_the_modules_beside_it(run_script, tmp_path):
    (tmp_path / "maths.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "handler.py").write_text(
        "import runpod\nfrom maths import double\n\n"
        "def work(job):\n    return double(job['input'])\n\n"
        "runpod.serverless.start({'handler': work})\n"
    )
    assert run_script('print(session.run(4, handler="handler.py").output)') == ["8"]


@here
def test_result_says_where_the_script_raised(run_script):
    said = run_script("""
result = session.run(None)
print(result.ok, result.exception.type, result.exception.where)
""")
    line = 1 + SCRIPT.split("\n").index("    return words[:LIMIT]")
    assert said == [f"False TypeError work.py, line {line}"]


def test_stream_yields_chunks_as_they_come(run_script):
    said = run_script("""
def count(job):
    for number in range(job["input"]):
        yield number
print(list(session.stream(3, handler=count)))
""")
    assert said == ["[0, 1, 2]"]


@here
def test_setup_that_raises_is_an_error_of_ours(run_script):
    said = run_script("""
try:
    session.setup("1 / 0")
except rpnb.errors.RemoteError as error:
    print(error)
""")
    assert said == ["ZeroDivisionError: division by zero (set-up 1, line 1)"]


@here
def test_clear_empties_the_program(run_script):
    said = run_script("""
session.setup("left = 1")
session.clear()
def look(job):
    return "left" in globals()
print(session.run(None, handler=look).output)
""")
    assert said == ["False"]


def test_array_travels_and_only_its_changed_block_goes_again(run_script, target):
    said = run_script(
        """
import numpy, os, pathlib
weights = numpy.random.default_rng(1).random(1_500_000)  # 12 MB
values = pathlib.Path(os.environ.get("RPNB_HOME", "")) / "values"
def total(job):
    weights[0] += 0
    return [float(weights.sum()), len(weights)]
for place in (0, 900_000):
    weights[place] = 5
    before = {each.name: each.stat().st_size for each in HOME.iterdir()} if HOME.exists() else {}
    output = session.run(None, handler=total).output
    after = {each.name: each.stat().st_size for each in HOME.iterdir()}
    sent = sum(size for name, size in after.items() if name not in before)
    print(output == [float(weights.sum()), len(weights)], sent)
""".replace("HOME", f"pathlib.Path({str(target.home / 'values')!r})")
    )
    assert [line.split()[0] for line in said] == ["True", "True"]
    first, again = (int(line.split()[1]) for line in said)
    assert first > 12_000_000
    assert again == 4 << 20
