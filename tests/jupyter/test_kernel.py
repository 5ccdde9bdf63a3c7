"""What a front end sees: a real kernel, cells with ids, displays that are replaced."""

from __future__ import annotations

import re
import secrets
import socket
import sys
import time

import pytest

from tests.conftest import _end_processes
from tests.jupyter.kernels import Kernel
from tests.showing import showing

CONNECT = f"%load_ext rpnb\n%runpod_connect local --python {sys.executable}"
SLOW = """%%runpod_handler --input {"n": 200}
import time
def handler(job):
    for n in range(job["input"]["n"]):
        print("step", n, flush=True)
        time.sleep(0.1)
    return n
"""
# Until there is a file `end`.
ENDLESS = """%%runpod_handler --input {{}}
import pathlib, time

def handler(job):
    number = 0
    while not pathlib.Path({end!r}).exists():
        print("step", number, flush=True)
        number += 1
        time.sleep(0.1)
    print("the last step")
    return "it ended"
"""
STUBBORN = """%%runpod_handler --input 1
import time
def handler(job):
    while True:
        try:
            print("begun", flush=True)
            time.sleep(60)
        except:
            pass
"""

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def new_kernel(tmp_path):
    """Start a kernel of this notebook; again, as after a restart."""
    opened = []

    def start():
        environment = {
            "RPNB_HOME": tmp_path / "rpnb",
            "XDG_STATE_HOME": tmp_path / "state",
            "JPY_SESSION_NAME": tmp_path / "book.ipynb",
        }
        opened.append(Kernel(tmp_path, environment))
        return opened[-1]

    yield start
    for kernel in opened:
        kernel.close()
    _end_processes(tmp_path / "rpnb")


@pytest.fixture
def kernel(new_kernel):
    """A kernel connected to a fresh worker."""
    kernel = new_kernel()
    assert kernel.run(CONNECT).error is None
    return kernel


def test_line_leads_the_output_and_is_replaced(kernel):
    ran = kernel.run("%%runpod_setup model\nprint('loading')", "a")
    assert ran.line.startswith("local │ setup model │ ran ")
    assert ran.text.splitlines()[1] == "loading"


def test_edited_cell_replaces_itself_by_its_id(kernel):
    kernel.run("%%runpod_setup\nx = 1", "a")
    kernel.run("%%runpod_setup\ny = 2\nz = 3", "a")
    assert "x = 1" not in kernel.run("%runpod_program").text


def test_deleted_cell_leaves_the_program(kernel):
    kernel.run("%%runpod_setup model\nx = 1", "a")
    content = kernel.client.session.msg(
        "execute_request",
        {"code": "1", "silent": False, "store_history": True, "user_expressions": {},
         "allow_stdin": False, "stop_on_error": True},
        metadata={"cellId": "b", "deletedCells": ["a"]},
    )  # fmt: skip
    kernel.client.shell_channel.send(content)
    kernel.finish(content["header"]["msg_id"])
    said = kernel.run("%runpod_status").text
    assert "%%runpod_setup" not in said
    assert "cell 2 (setup model) left the program: it was deleted" in said


def test_output_comes_while_the_handler_runs_and_ctrl_c_keeps_the_model(kernel):
    kernel.run("%%runpod_setup\nimport os\nborn = os.getpid()", "s")
    request = kernel.start(SLOW, "h")
    kernel.see(request, "step 3")
    kernel.manager.interrupt_kernel()
    ran = kernel.finish(request)
    assert "step 199" not in ran.text
    assert ran.error["ename"] == "JobFailed"
    kernel.run("%%runpod_remote --to same\nborn == os.getpid()")
    assert kernel.run("same").text == "True"


def test_cancelled_job_says_that_the_model_is_kept(kernel):
    kernel.run("%%runpod_setup\nimport time\ntime.sleep(0.06)\nmodel = bytearray(2_000_000)", "s")
    request = kernel.start(SLOW, "h")
    kernel.see(request, "step 1")
    kernel.manager.interrupt_kernel()
    ran = kernel.finish(request)
    assert "JobFailed" in ran.traceback
    assert "rpnb/" not in ran.traceback


def test_interrupted_call_shows_the_persons_own_line_and_none_of_ours(kernel):
    kernel.run("import rpnb")
    kernel.run(SLOW.replace("handler --input", "handler --no-run --input"), "h")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for call, seen in {
            "rpnb.run({'n': 200})": "step 1",
            "print('begun')\nfor chunk in rpnb.stream({'n': 200}):\n    pass": "begun",
            f"print('begun')\n%runpod_connect root@127.0.0.1:{port}": "begun",
        }.items():
            request = kernel.start(call)
            before = kernel.see(request, seen)
            kernel.manager.interrupt_kernel()
            ran = kernel.finish(request, ran=before)
            assert ran.error["ename"] == "KeyboardInterrupt"
            assert "----> " in ran.traceback
            assert "rpnb/" not in ran.traceback


# A busy machine may take longer than two seconds to say no.
PATIENTLY = """%%runpod_remote
import sys
for name in [name for name in sys.modules if name.endswith("worker_request")]:
    sys.modules[name].NOTICE_SECONDS = 60.0
"""
LOADED = """%%runpod_setup model
import time
time.sleep({seconds})
pipe = time.sleep({seconds}) or ["{name}"]
"""


def test_long_reload_is_announced_and_an_interrupt_keeps_the_old_one(kernel):
    assert kernel.run(PATIENTLY, "p").error is None
    kernel.run(LOADED.format(seconds=3.1, name="old"), "a")
    request = kernel.start(LOADED.format(seconds=3.2, name="new"), "a")
    seen = kernel.see(request, "Interrupt keeps")
    kernel.manager.interrupt_kernel()
    ran = kernel.finish(request, ran=seen)
    assert "local │ not reloaded │ pipe kept" in ran.text
    assert "cancelled before the reload" in ran.traceback
    assert "old" in kernel.run("%%runpod_remote\npipe", "b").text, "the edit was sent after all"


def test_long_reload_names_the_changed_line_and_goes_on_by_itself(kernel):
    kernel.run(LOADED.format(seconds=3.1, name="old"), "a")
    ran = kernel.run(LOADED.format(seconds=0, name="new"), "a")
    assert re.search(r"pipe reloads \(about \d+ s\): line 4 of `model` changed", ran.text)
    assert "new" in kernel.run("%%runpod_remote\npipe", "b").text


def test_kernel_restart_does_not_cancel_the_job(kernel, tmp_path):
    # A busy machine may take longer than 0.2 s from the interrupt to the word that explains it.
    kernel.run("from rpnb.jupyter import running\nrunning._ANNOUNCEMENT = 1.5")
    end = tmp_path / "end"
    request = kernel.start(ENDLESS.format(end=str(end)), "h")
    kernel.see(request, "step 1")
    # Jupyter interrupts the kernel first, as Ctrl-C does.
    kernel.manager.restart_kernel(now=False)
    kernel.client.wait_for_ready(timeout=60)
    end.touch()
    deadline, said = time.monotonic() + 60, ""
    while "finished meanwhile" not in said and time.monotonic() < deadline:
        said = kernel.run(CONNECT).text
    assert "COMPLETED" in said


def test_job_that_outlives_its_kernel_is_found_again(new_kernel, tmp_path):
    first, end = new_kernel(), tmp_path / "end"
    first.run(CONNECT)
    request = first.start(ENDLESS.format(end=str(end)), "h")
    first.see(request, "step 1")
    first.close()
    again = new_kernel()
    end.touch()
    deadline = time.monotonic() + 60
    said = ""
    while "finished meanwhile" not in said and time.monotonic() < deadline:
        said = again.run(CONNECT).text
    assert "1 job finished meanwhile: " in said
    known = said.partition("finished meanwhile")[2].partition("--attach ")[2].partition("`")[0]
    ran = again.run(f"%runpod_run --attach {known}")
    assert "step 0" in ran.text and "the last step" in ran.text
    assert ran.text.rstrip().endswith('"it ended"')


# Cuts the link once there is a file "cut", and lets it come back once there is "mend".
OUTAGE = """
import pathlib, threading, time
from rpnb.errors import CannotReach
link = get_ipython()._rpnb_notebook.session._link
dial = link._dial
def reach():
    if not pathlib.Path("mend").exists():
        raise CannotReach("no route to host")
    return dial()
def cut():
    while not pathlib.Path("cut").exists():
        time.sleep(0.01)
    link._dial = reach
    link._line.close()
threading.Thread(target=cut, daemon=True).start()
"""
PATIENT = """%%runpod_handler --input {folder!r}
import pathlib, time
def handler(job):
    print("begun", flush=True)
    while not pathlib.Path(job["input"], "end").exists():
        time.sleep(0.01)
    return "well"
"""


def test_outage_in_mid_job_is_one_line_that_the_result_replaces(kernel, tmp_path):
    kernel.run(OUTAGE)
    request = kernel.start(PATIENT.format(folder=str(tmp_path)), "h")
    seen, shown = kernel.see(request, "begun"), []
    for file, said in {
        "cut": "job runs on │ reconnecting │ no route to host",
        "mend": "link is back after ",
    }.items():
        (tmp_path / file).touch()
        seen = kernel.see(request, said, ran=seen)
        shown.append([each["text"] for each in seen.outputs if "link" in each["text"]])
    (tmp_path / "end").touch()
    ran = kernel.finish(request, ran=seen)
    assert [len(each) for each in shown] == [1, 1], shown
    assert shown[0][0].startswith("local │ link lost "), shown
    assert ran.line.startswith("local │ handler │ ✓ ") and "well" in ran.text
    assert "link lost" not in ran.text and "link is back" not in ran.text


def test_status_lists_jobs_and_shows_one_from_its_start(kernel):
    kernel.run("%%runpod_handler --input 1\ndef handler(job):\n    print('said')\n    return 41")
    ran = kernel.run("%runpod_status")
    assert re.search(r"job [0-9a-f]{4}  COMPLETED  \d+ s ago\n`%runpod_run --attach ", ran.text)
    view = next(filter(None, (each.get("data", {}).get(VIEW) for each in ran.outputs)))
    # Its successor is in no ipywidgets 7; it warns in 8.
    kernel.run(f"import ipywidgets\nbox = ipywidgets.Widget.widgets[{view['model_id']!r}]")
    click(kernel, kernel.run("print(box.children[0].children[1].model_id)").text)
    deadline, shown = time.monotonic() + 60, ""
    while "✓" not in shown and time.monotonic() < deadline:
        shown = kernel.run("print([each.value for each in box.children[1].children[:2]])").text
    assert "said" in shown and "✓" in shown


def click(kernel, button):
    """Press a button as a front end does."""
    content = {"comm_id": button, "data": {"method": "custom", "content": {"event": "click"}}}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", content))


def test_second_kernel_on_one_worker_is_told_who_drives_and_drives_when_it_has_left(new_kernel):
    first, second = new_kernel(), new_kernel()
    first.run(CONNECT)
    first.run("%%runpod_handler --input 1\ndef handler(job):\n    return 'of the first'")
    assert "book.ipynb on " in second.run(CONNECT).text
    handler = "%%runpod_handler --input 2\ndef handler(job):\n    return 'of the second'"
    assert "drives the worker" in second.run(handler).traceback
    stopped = second.run("%runpod_stop")
    assert "`rpnb stop book-" in stopped.text + stopped.traceback
    first.run("%runpod_disconnect")
    assert "of the second" in second.run(handler).text


def test_secret_that_is_typed_is_in_no_file_no_process_list_and_nothing_that_is_shown(
    kernel, tmp_path
):
    secret = secrets.token_hex(16)
    said, asked = kernel.answer("%runpod_env HF_TOKEN", secret)
    assert asked == [("HF_TOKEN: ", True)]
    shown = [said, kernel.run("%%runpod_setup\nimport os\nkey = os.environ['HF_TOKEN']", "s")]
    handler = "%%runpod_handler --input 1\ndef handler(job):\n    return len(key)"
    shown += [kernel.run(handler, "h"), kernel.run("%runpod_status"), kernel.run("%runpod_export")]
    assert shown[2].text.splitlines()[1] == "32"
    assert not [ran.text for ran in shown if ran.error or secret in str(ran.outputs)]
    assert (tmp_path / "handler.py").exists()
    assert showing(secret, [tmp_path]) == set()


def test_base64_image_of_a_result_is_drawn(kernel):
    ran = kernel.run(
        "%%runpod_handler --input 1\nimport base64\n"
        "PNG = b'\\x89PNG\\r\\n\\x1a\\n' + bytes(100)\n"
        "def handler(job):\n    return {'image': base64.b64encode(PNG).decode()}"
    )
    assert "image/png" in ran.mimes()


def test_form_is_drawn_with_text_for_pages_without_widgets(kernel):
    ran = kernel.run("%%runpod_handler\ndef handler(job):\n    return job['input']['prompt']")
    assert ran.line.startswith("local │ handler │ not run: `prompt` is required")
    assert "application/vnd.jupyter.widget-view+json" in ran.mimes()
    assert ran.outputs[-1]["text"] == "input: prompt (required)"
    ran = kernel.run("%%runpod_handler --no-form\ndef handler(job):\n    return job['input']['p']")
    assert "application/vnd.jupyter.widget-view+json" not in ran.mimes()


def test_form_runs_a_job_without_blocking_the_kernel(kernel):
    kernel.run("%%runpod_handler --no-run\ndef handler(job):\n    return job['input']['n'] * 2")
    kernel.run(
        "from rpnb.jupyter.form import Form\nfrom rpnb.program.fields import Field\n"
        "form = Form(get_ipython()._rpnb_notebook, [Field('n', 'int')])\n"
        "form.widget.children[0].value = '21'\nthread = form.start()"
    )
    ran = kernel.run("thread.join(60)\n_result.output")
    assert ran.text == "42"
    assert "✓" in kernel.run("form._screen._lead.value").text


def test_failing_cell_stops_run_all_as_a_test_would(kernel):
    ran = kernel.run("%%runpod_handler --input 1\ndef handler(job):\n    raise ValueError('bad')")
    assert ran.error["ename"] == "JobFailed"
    assert "cell 2, line 3, in handler" in ran.traceback
    assert ran.traceback.count("ValueError: bad") >= 1


def test_data_frame_of_the_target_is_drawn_here(kernel):
    pytest.importorskip("pandas")
    ran = kernel.run("%%runpod_remote\nimport pandas\npandas.DataFrame({'a': [1, 2]})")
    assert any("<td>2</td>" in each.get("data", {}).get("text/html", "") for each in ran.outputs)


@pytest.mark.slow  # two kernels
def test_second_kernel_watches_a_job_from_its_start_and_may_not_drive(kernel, new_kernel, tmp_path):
    (tmp_path / "copy.ipynb").write_text("{}")
    worker = kernel.run("%runpod_status").line.split("worker ")[1].split(" ")[0]
    end = tmp_path / "end"
    request = kernel.start(ENDLESS.format(end=str(end)), "h")
    begun = kernel.see(request, "step 3")
    other = new_kernel()
    other.run(
        "import os\nos.environ['MINE'] = 'x'\n__vsc_ipynb_file__ = os.path.abspath('copy.ipynb')"
    )
    ran = other.run(
        f"%load_ext rpnb\n%runpod_connect local --name {worker} --python {sys.executable}"
    )
    assert "book.ipynb on " in ran.text and "drives this worker" in ran.text
    known = re.search(r"job ([0-9a-f]{4}) still runs", ran.text)[1]
    for cell in (
        "%%runpod_setup\nx = 1",
        "%%runpod_remote\n1 + 1",
        "%runpod_run {}",
        "%runpod_restart",
        "%runpod_env MINE",
    ):
        ran = other.run(cell)
        said = ran.text + ran.traceback
        assert "drives the worker" in said and "can drive once the other one disconnects" in said
    watching = other.start(f"%runpod_run --attach {known}")
    seen = other.see(watching, "step 5")
    assert "step 0" in seen.text
    other.manager.interrupt_kernel()
    seen = other.see(watching, "not cancelled, the job goes on: ", ran=seen)
    end.touch()
    seen = other.finish(watching, ran=seen)
    assert "not cancelled, the job goes on: " in seen.text and "drives the worker" in seen.text
    assert seen.text.count("the last step") == 1 and "✓" in seen.text
    ran = kernel.finish(request, ran=begun)
    assert ran.error is None and "the last step" in ran.text


@pytest.mark.slow  # the grace time
def test_handler_that_had_to_be_killed_takes_the_model_along_and_the_line_says_so(kernel):
    kernel.run("%%runpod_setup\nimport time\ntime.sleep(0.06)\nmodel = bytearray(2_000_000)", "s")
    request = kernel.start(STUBBORN, "h")
    seen = kernel.see(request, "begun")
    kernel.manager.interrupt_kernel()
    ran = kernel.finish(request, ran=seen)
    assert "kept" not in ran.text
    assert ran.line.startswith("local │ cancelled │ it did not stop: its worker was ended")
    assert "2000000" in kernel.run("%%runpod_remote\nlen(model)").text


def test_flood_leaves_a_small_page_its_end_and_where_the_rest_lies(kernel):
    text = "def handler(job):\n    for n in range(40_000):\n        print(f'{n:6d} ' + 'x' * 492)"
    kernel.run("%%runpod_handler --input {}\n" + text + "\n    return n", "f")
    request = kernel.start("r = %runpod_run {}")
    stream_bytes = messages = 0
    ran = None
    while ran is None:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != request:
            continue
        messages += 1
        if message["msg_type"] == "stream":
            stream_bytes += len(message["content"]["text"])
        is_idle = message["content"].get("execution_state") == "idle"
        ran = kernel.run("print(len(r.logs)); print(r.logs[-600:])", "r") if is_idle else None
    # 20 MB were printed: a third of a megabyte reaches the page, in few messages.
    assert 250_000 < stream_bytes < 400_000 and messages < 1000
    assert " 39999 xxx" in ran.text and int(ran.text.splitlines()[0]) < 16_100_000


def test_flood_says_how_much_of_it_is_not_shown(kernel):
    text = "def handler(job):\n    for n in range(2000):\n        print(f'{n:6d} ' + 'x' * 492)"
    ran = kernel.run("%%runpod_handler --input {}\n" + text + "\n    return n", "f")
    assert "of output left out here" in ran.text and "  1999 xxx" in ran.text
    assert re.search(r"700 kB\W.*of output not shown │ whole logs on local: ", ran.text), ran.text
    assert "/run/" in ran.text and "out and err" in ran.text
