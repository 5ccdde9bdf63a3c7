import time

import pytest

from rpnb.errors import CannotReach
from rpnb.jupyter import connecting
from rpnb.jupyter.extension import notebook_of
from rpnb.jupyter.form import Form, FormScreen, text_form
from rpnb.program.fields import Field
from rpnb.session.link_state import State

FIELDS = [
    Field("prompt", "str"),
    Field("steps", "int", 20, required=False),
    Field("fast", "bool", True, required=False),
    Field("mode", "str", "a", required=False, choices=("a", "b")),
]


def test_text_form_says_what_is_required():
    assert text_form(FIELDS[:2]) == "input: prompt (required), steps (20)"


def test_form_fields_become_fitting_widgets():
    form = Form(None, FIELDS)
    kinds = [type(each).__name__ for each in form.widget.children[:4]]
    assert kinds == ["Text", "Text", "Checkbox", "Dropdown"]


def test_form_typed_values_become_the_input():
    form = Form(None, FIELDS)
    form.widget.children[0].value = "a fox"
    assert form._value() == {"prompt": "a fox", "steps": 20, "fast": True, "mode": "a"}


def test_form_long_default_is_kept_out_of_the_page():
    picture = "x" * 5000
    form = Form(None, [Field("image", "str", picture)])
    assert form.widget.children[0].value == ""
    assert form.widget.children[0].placeholder == "as before (5 kB)"
    assert form._value() == {"image": picture}
    form.widget.children[0].value = "y"
    assert form._value() == {"image": "y"}


def test_form_run_with_a_missing_field_shows_it_and_is_ready_again():
    form = Form(None, FIELDS)
    form.start().join(60)
    assert "`prompt` is required" in form._screen._log.value
    assert not form._button.disabled


def test_form_fault_in_a_thread_is_shown():
    form = Form(None, [])
    form.start().join(60)
    assert "a fault in rpnb" in form._screen._log.value


@pytest.mark.parametrize(
    ("text", "shown"), [("10%\r20%\rdone\nx", "done\nx"), ("<b>", "&lt;b&gt;")]
)
def test_screen_log_is_settled_and_escaped(text, shown):
    screen = FormScreen()
    screen.log("out", text)
    screen.settle()
    assert screen._log.value == f"<pre>{shown}</pre>"


def test_screen_draws_one_below_the_other():
    screen = FormScreen()
    screen.draw({"text/plain": "a"})
    screen.draw({"text/plain": "b"})
    assert [each["data"]["text/plain"] for each in screen._output.outputs] == ["a", "b"]


# With a worker

STUBBORN = """%%runpod_handler --no-run
import time
def handler(job):
    while True:
        try:
            print("begun", flush=True)
            time.sleep(60)
        except BaseException:
            pass
"""


@pytest.fixture
def form(connected):
    """The form of a notebook whose handler does not end by itself."""
    connected.run(STUBBORN)
    return Form(notebook_of(connected.shell), [])


@pytest.fixture
def link(form):
    return form._notebook.session._link


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def begun(form):
    """Press Run; return the thread once the handler runs."""
    thread = form.start()
    until(lambda: "begun" in settled(form))
    return thread


def test_form_second_cancel_forces_the_end_of_a_stubborn_job(form, link, monkeypatch):
    pressed, cancel = [], link.cancel
    monkeypatch.setattr(link, "cancel", lambda each: (pressed.append(each.force), cancel(each)))
    thread = begun(form)
    form.cancel()
    form.cancel()
    thread.join(60)
    assert pressed == [False, True]
    assert "cancelled" in form._screen._lead.value
    assert not form._button.disabled


def test_form_second_cancel_in_an_outage_ends_the_wait(form, link, monkeypatch):
    def unreachable():
        raise CannotReach("no route to host")

    thread = begun(form)
    monkeypatch.setattr(link, "_dial", unreachable)
    link._line.close()
    until(lambda: link._state is State.LOST)
    form.cancel()
    until(lambda: "a second interrupt ends the wait" in settled(form))
    form.cancel()
    thread.join(60)
    assert "The job goes on, unless an interrupt still reached it" in settled(form)
    assert not form._button.disabled


def settled(form):
    form._screen.settle()
    return form._screen._log.value


def test_form_cancel_before_the_run_has_begun_counts(form, monkeypatch):
    def pressing(notebook):
        form.cancel()
        return notebook.session

    monkeypatch.setattr(connecting, "attached", pressing)
    form.start().join(60)
    assert "cancelled" in form._screen._lead.value
    assert form._notebook.session.jobs == []
