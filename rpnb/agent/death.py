"""How a worker died, as a person needs to know it: what, where, why, and what to try.

Three witnesses are heard: the exit status that the keeper wrote, Python's
faulthandler, which names the lines that a crash struck, and the kernel's log
where it may be read.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any, Iterator

from . import memory

_KERNEL_LOG = Path("/dev/kmsg")
_MOST_KERNEL_LINES = 3
# One record at most (the kernel's own bound).
_RECORD_BYTES = 8192
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)')
_NAMES = {
    signal.SIGSEGV: "a segmentation fault",
    signal.SIGABRT: "an abort",
    signal.SIGBUS: "a bus error",
    signal.SIGILL: "an illegal instruction",
    signal.SIGFPE: "an arithmetic fault",
    signal.SIGTRAP: "a trap",
}
_NATIVE = (
    "Compiled code crashed, not Python. Most often two packages do not fit each other "
    "(or the driver): compare their versions with those that are known to work."
)
_OUT_OF_MEMORY = (
    "Load the model in half precision or straight onto the GPU, take smaller batches, "
    "or a machine with more memory."
)
_REMEDIES = {
    signal.SIGSEGV: _NATIVE,
    signal.SIGABRT: "Compiled code gave up; its log lines above this say why.",
    signal.SIGILL: "A package was built for another processor than this one.",
    signal.SIGFPE: _NATIVE,
}
# Docker gives 64 MB where nobody asked for more; a data loader's workers fill it.
_SHARED_MEMORY = Path("/dev/shm")
_FULL = (
    "/dev/shm is full ({size:.0f} MB): the pod needs more shared memory, or num_workers=0 "
    "in the data loader."
)


def describe(ended: dict[str, Any], where: str = "") -> str:
    """Return how the worker's process ended, by its exit record; `where` says at what work."""
    number, code = ended.get("signal"), ended.get("code")
    if number is not None:
        return f"the worker {_end_by(number, ended)}{where}{_used(ended)}"
    if code is not None:
        return f"the worker ended by itself with exit code {code}{where}{_used(ended)}"
    if ended.get("rebooted"):
        return "the worker ended when this machine, or its container, was restarted"
    return "the worker ended, and its keeper, too: how is not known"


def remedy(ended: dict[str, Any]) -> str:
    """Return what to try, "" where nothing can be said."""
    number = ended.get("signal")
    if number == signal.SIGKILL:
        return _OUT_OF_MEMORY if ended.get("oom_kills") else ""
    if number == signal.SIGBUS:
        usage = shutil.disk_usage(_SHARED_MEMORY) if _SHARED_MEMORY.is_dir() else None
        is_full = usage is not None and usage.free < usage.total / 20
        return _FULL.format(size=usage.total / 1e6) if usage is not None and is_full else _NATIVE
    if number is not None:
        return _REMEDIES.get(number, "")
    if ended.get("code") is not None:
        return "os._exit, or a library that calls it, ends the process without an exception."
    return ""


def crash_frames(crash: str, app: str) -> list[list[Any]]:
    """Return where Python was when it crashed, as faulthandler wrote it: outermost first.

    A frame is [file, line, function, source line], a file inside `app` named
    relative to it; those of rpnb and the SDK that lie below the person's are left out.
    """
    frames: list[list[Any]] = []
    for line in crash.splitlines():
        match = _FRAME.fullmatch(line)
        if match is None and frames:
            break
        if match is not None:
            frames.append([match["file"], int(match["line"]), match["name"], ""])
    own = [number for number, frame in enumerate(frames) if frame[0].startswith(app + "/")]
    kept = frames[: own[-1] + 1] if own else []
    for frame in kept:
        frame[3] = _source(frame[0], frame[1])
        frame[0] = frame[0][len(app) + 1 :] if frame[0].startswith(app + "/") else frame[0]
    return kept[::-1]


def traceback(frames: list[list[Any]], message: str) -> list[str]:
    """Return the lines that Python would print for an exception at these frames."""
    if not frames:
        return []
    lines = ["Traceback (most recent call last):"]
    for file, line, name, source in frames:
        lines.append(f'  File "{file}", line {line}, in {name}')
        lines += [f"    {source}"] if source else []
    return [*lines, f"WorkerDied: {message}"]


def kernel_says(pid: int, seconds: float) -> list[str]:
    """Return what the kernel's log says of a process in the last so many seconds.

    [] where the log may not be read, and in a container whose process numbers are
    not the kernel's own.
    """
    since = (time.clock_gettime(time.CLOCK_MONOTONIC) - seconds) * 1e6
    said = []
    for head, text in _kernel_records():
        stamp = head.split(",")[2:3]
        is_recent = bool(stamp) and stamp[0].isdigit() and int(stamp[0]) >= since
        if is_recent and re.search(rf"\b{pid}\b", text):
            said.append(text)
    return said[-_MOST_KERNEL_LINES:]


def _end_by(number: int, ended: dict[str, Any]) -> str:
    if number == signal.SIGKILL and ended.get("oom_kills"):
        return "was killed because memory ran out (signal 9)"
    name = _NAMES.get(number)  # type: ignore[call-overload]
    try:
        known = signal.Signals(number).name
    except ValueError:
        known = "unknown"
    died = f"died of {name}" if name else "was ended by a signal"
    return f"{died} (signal {number}, {known})"


def _used(ended: dict[str, Any]) -> str:
    peak, limit = ended.get("peak_bytes"), memory.limit_bytes()
    if not peak:
        return ""
    of = f" of {limit / 1e9:.1f}" if limit and ended.get("oom_kills") else ""
    return f", at a peak of {peak / 1e9:.1f}{of} GB of memory"


def _source(file: str, line: int) -> str:
    # As it lies there now: the program that crashed was the last one written.
    with contextlib.suppress(OSError, UnicodeDecodeError, IndexError):
        return Path(file).read_text("utf-8").split("\n")[line - 1].strip()
    return ""


def _kernel_records() -> Iterator[tuple[str, str]]:
    try:
        log = os.open(_KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        while True:
            try:
                record = os.read(log, _RECORD_BYTES)
            except BrokenPipeError:
                continue  # overwritten meanwhile: the next read goes on behind it
            except OSError:
                return  # read to its end
            if not record:
                return
            head, _, text = record.decode("utf-8", "replace").partition(";")
            yield head, text.split("\n")[0]
    finally:
        os.close(log)
