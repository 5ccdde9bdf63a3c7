"""One log of a worker: read at any offset, and made to give up text in its middle.

What is given up becomes a hole: it reads as NULs and takes no room, and every
offset stays what it was. So a hole needs no record, and nothing can be torn
by a process that dies: a long run of NULs is a hole.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

# So many NULs and more are a hole. Shorter ones may be what a program printed.
HOLE_BYTES = 4096
_NULS = bytes(HOLE_BYTES)
_PIECE = 1 << 20
_LINE = 1 << 16
# linux/falloc.h: free the blocks, and let the file keep its size.
_PUNCH_HOLE, _KEEP_SIZE = 2, 1


class LogFile:
    """A log that a worker appends to, whatever happens here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # What this process had it give up: some file systems do not say what a file takes.
        self._holes: list[tuple[int, int]] = []

    @property
    def size(self) -> int:
        """Where its next byte will lie."""
        return os.fstat(self._file).st_size

    @property
    def held_bytes(self) -> int:
        """The room that it takes on the disk."""
        found = os.fstat(self._file)
        given_up = sum(end - start for start, end in self._holes)
        return min(found.st_blocks * 512, found.st_size - given_up)

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes, those of holes as NULs; fewer at the end."""
        return os.pread(self._file, size, offset)

    def text(self, offset: int, size: int) -> bytes:
        """Return bytes up to where a hole begins, b"" inside one."""
        data = self.read(offset, size)
        if data.startswith(b"\0") and self.read(max(0, offset - HOLE_BYTES), HOLE_BYTES) == _NULS:
            return b""
        hole = data.find(_NULS)
        if hole < 0 and data.endswith(b"\0"):
            # One may begin here that is longer than the rest of the piece.
            begin = len(data.rstrip(b"\0"))
            hole = begin if self.read(offset + begin, HOLE_BYTES) == _NULS else -1
        return data if hole < 0 else data[:hole]

    def end_of_hole(self, offset: int) -> int:
        """Return where text goes on after a hole, the log's size where it does not."""
        size = self.size
        while offset < size:
            offset = self._data_after(offset, size)
            piece = self.read(offset, _PIECE)
            text = piece.lstrip(b"\0")
            offset += len(piece) - len(text)
            if text or not piece:
                break
        return offset

    def line_after(self, offset: int) -> int:
        """Return where the next line begins; `offset` itself where none is near."""
        found = self.read(offset, _LINE).find(b"\n")
        return offset + found + 1 if found >= 0 else offset

    def give_up(self, start: int, end: int) -> None:
        """Free what lies between the offsets; it reads as NULs from now on."""
        if end - start < HOLE_BYTES:
            return
        # With the holes beside it: a block of which each has a part is freed by neither.
        beside = [hole for hole in self._holes if hole[0] <= end and hole[1] >= start]
        start = min([start, *(hole[0] for hole in beside)])
        end = max([end, *(hole[1] for hole in beside)])
        file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not _punch(file, start, end - start):
                start = 0
                self._begin_anew(file, end)
        finally:
            os.close(file)
        apart = [hole for hole in self._holes if hole[0] > end or hole[1] < start]
        self._holes = sorted([*apart, (start, end)])

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _data_after(self, offset: int, size: int) -> int:
        """Jump over a hole as far as the file system knows it: over a gigabyte at once."""
        try:
            return os.lseek(self._file, offset, os.SEEK_DATA)
        except OSError as error:
            return size if error.errno == errno.ENXIO else offset

    def _begin_anew(self, file: int, end: int) -> None:
        """Free all below `end` where no hole can be punched (some network disks).

        A file that is cut and made longer again is empty there on every disk. What is
        printed between the two calls, some microseconds, is lost and not counted.
        """
        size = self.size
        rest = self.read(end, size - end)
        os.ftruncate(file, 0)
        os.ftruncate(file, size)
        os.pwrite(file, rest, end)


def _punch(file: int, start: int, size: int) -> bool:
    """Tell whether the file system could do it."""
    if not sys.platform.startswith("linux"):
        return False
    fallocate = ctypes.CDLL(None).fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong)
    return bool(fallocate(file, _PUNCH_HOLE | _KEEP_SIZE, start, size) == 0)
