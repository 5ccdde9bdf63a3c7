"""Values on their way in: blocks to files, checked, named by their digest."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any, Mapping

from ..errors import ProtocolError
from ..protocol.blobs import BLOCK_BYTES, block_count, block_size, is_digest
from ..protocol.messages import Blob
from .caches import touch
from .directory import writing


class Uploads:
    """Puts blocks together in the folder of values. A cut loses only the block it cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[str, _Part] = {}

    def missing(self, files: Mapping[str, Any]) -> dict[str, list[int]]:
        """Return the blocks that a program's files still lack: {digest: [index, …]}.

        Raises:
            ProtocolError: a digest that is none.
        """
        lacking: dict[str, list[int]] = {}
        for digest, size in files.values():
            if not isinstance(size, int) or not is_digest(str(digest)):
                raise ProtocolError(f"expected [digest, size], got {[digest, size]!r}")
            if not self._has(digest, size):
                part = self._parts.get(digest)
                have = part.have if part is not None and part.size == size else set()
                lacking[digest] = [n for n in range(block_count(size)) if n not in have]
        return lacking

    def take(self, blob: Blob) -> bool:
        """Store one block; tell whether the blob is complete now.

        Raises:
            ProtocolError: not a block of this blob, or its bytes are not what the digest says.
            NoSpace: the disk is full; what came of the blob is dropped.
        """
        if not is_digest(blob.digest) or not 0 <= blob.index < block_count(blob.size):
            raise ProtocolError(f"expected a block of {blob.size} bytes, got {blob.index}")
        if len(blob.data) != block_size(blob.size, blob.index):
            raise ProtocolError(
                f"expected {block_size(blob.size, blob.index)} bytes, got {len(blob.data)}"
            )
        if self._has(blob.digest, blob.size):
            return True
        part = self._parts.get(blob.digest)
        if part is None or part.size != blob.size:
            part = self._parts[blob.digest] = _Part(self._folder, blob.digest, blob.size)
        return self._finish(part, blob)

    def close(self) -> None:
        """Drop what is not complete."""
        for part in self._parts.values():
            part.drop()
        self._parts.clear()

    def _has(self, digest: str, size: int) -> bool:
        path = self._folder / digest
        try:
            is_whole = path.stat().st_size == size
        except OSError:
            return False
        if is_whole:
            touch(path)
        return is_whole

    def _finish(self, part: _Part, blob: Blob) -> bool:
        try:
            complete = part.take(blob)
        except Exception:
            self._parts.pop(blob.digest).drop()
            raise
        if complete:
            del self._parts[blob.digest]
        return complete


class _Part:
    """One blob, partly here. Hashed on the way, so that the last block costs no more."""

    def __init__(self, folder: Path, digest: str, size: int) -> None:
        self.size = size
        self.have: set[int] = set()
        self._target = folder / digest
        # Workers share the folder: each agent writes a file of its own.
        self._path = folder / f"{digest}.{os.getpid()}.part"
        self._hash, self._hashed = hashlib.sha256(), 0
        with writing(self._path):
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o600)

    def take(self, blob: Blob) -> bool:
        with writing(self._path):
            view, offset = memoryview(blob.data), blob.index * BLOCK_BYTES
            while view:
                written = os.pwrite(self._file, view, offset)
                view, offset = view[written:], offset + written
        self.have.add(blob.index)
        if blob.index == self._hashed:
            self._hash.update(blob.data)
            self._hashed += 1
        while self._hashed in self.have:
            self._hash.update(os.pread(self._file, BLOCK_BYTES, self._hashed * BLOCK_BYTES))
            self._hashed += 1
        if self._hashed < block_count(self.size):
            return False
        return self._keep()

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._file)
        self._path.unlink(missing_ok=True)

    def _keep(self) -> bool:
        found = self._hash.hexdigest()
        if found != self._target.name:
            raise ProtocolError(f"expected the bytes of {self._target.name[:12]}, got {found[:12]}")
        os.close(self._file)
        self._path.replace(self._target)
        return True
