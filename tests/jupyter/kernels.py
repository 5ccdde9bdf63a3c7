"""A real kernel, driven as a front end drives it: cells with ids in, outputs back."""

from __future__ import annotations

import os
import re
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any

from jupyter_client.manager import KernelManager

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Ran:
    """What a cell left in the page: texts in order, displays by id, and its error."""

    outputs: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """Everything a reader of the page sees, as text."""
        return "\n".join(each["text"].rstrip("\n") for each in self.outputs)

    @property
    def line(self) -> str:
        """The first line of the output."""
        return self.text.splitlines()[0] if self.text else ""

    @property
    def traceback(self) -> str:
        """The error's traceback, without colours."""
        return _COLOURS.sub("", "\n".join(self.error["traceback"])) if self.error else ""

    def mimes(self) -> set[str]:
        """Every mime type that was displayed."""
        return {mime for each in self.outputs for mime in each.get("data", {})}


class Kernel:
    """A running kernel; `run` a cell's text under an id, as JupyterLab sends it."""

    def __init__(self, folder, environment):
        settings = {**os.environ, **{k: str(v) for k, v in environment.items()}}
        # Its ports would be chosen now and taken when it is up: a test beside might be first.
        self._sockets = tempfile.TemporaryDirectory(prefix="rpnb-kernel-")
        self.manager = KernelManager(transport="ipc", ip=f"{self._sockets.name}/kernel")
        self.manager.start_kernel(cwd=str(folder), env=settings)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def close(self):
        """Shut the kernel down."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self._sockets.cleanup()

    def start(self, code, cell_id=None, *, metadata=None, **content):
        """Send a cell without waiting; return the message's id."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {},
                   "allow_stdin": False, "stop_on_error": True, **content}  # fmt: skip
        if metadata is None:
            metadata = {"cellId": cell_id} if cell_id else {}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def run(self, code, cell_id=None, timeout=60.0):
        """Run a cell to its end; return what it left in the page."""
        return self.finish(self.start(code, cell_id), timeout)

    def answer(self, code, *answers, timeout=60.0):
        """Run a cell that asks; return what it left, and each prompt with whether it hides."""
        request, asked = self.start(code, allow_stdin=True), []
        for answer in answers:
            content = self.client.get_stdin_msg(timeout=timeout)["content"]
            asked.append((content["prompt"], content["password"]))
            self.client.input(answer)
        return self.finish(request, timeout), asked

    def finish(self, request, timeout=60.0, ran=None):
        """Wait for the end of a cell that was started; `ran` is what `see` has seen of it."""
        ran, until = ran or Ran(), time.monotonic() + timeout
        while True:
            message = self.client.get_iopub_msg(timeout=until - time.monotonic())
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return ran
            _take(ran, kind, content)

    def see(self, request, text, timeout=60.0, ran=None):
        """Wait until the cell's output has this text; return what there is by then."""
        ran, until = ran or Ran(), time.monotonic() + timeout
        while text not in ran.text:
            message = self.client.get_iopub_msg(timeout=until - time.monotonic())
            if message["parent_header"].get("msg_id") == request:
                _take(ran, message["msg_type"], message["content"])
                is_over = message["content"].get("execution_state") == "idle"
                assert not is_over, f"it ended without {text!r}: {ran.text}{ran.traceback}"
        return ran


def _take(ran, kind, content):
    if kind == "stream":
        ran.outputs.append({"text": content["text"]})
    elif kind in ("display_data", "execute_result"):
        display_id = content.get("transient", {}).get("display_id")
        shown = {"text": content["data"].get("text/plain", ""), "id": display_id}
        ran.outputs.append({**shown, "data": content["data"]})
    elif kind == "update_display_data":
        for each in ran.outputs:
            if each.get("id") == content["transient"]["display_id"]:
                each.update(text=content["data"].get("text/plain", ""), data=content["data"])
    elif kind == "error":
        ran.error = content
