"""The rpnb command in a terminal of its own, with a person before it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from pexpect.fdpexpect import fdspawn


class Terminal:
    """A command that runs in a terminal; `screen` is what pexpect reads from it."""

    def __init__(self, *arguments, **environment):
        ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            # Passwords are asked for on the terminal that controls the process.
            ["setsid", "--ctty", "--wait", sys.executable, "-m", "rpnb", *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "200", **environment},
        )
        os.close(theirs)
        self.screen = fdspawn(ours, timeout=60, encoding="utf-8", use_poll=True)
        self.shown = ""

    def expect(self, text):
        """Wait until this text is shown."""
        self.screen.expect_exact(text)
        self.shown += self.screen.before + self.screen.after

    def is_still(self, seconds):
        """Whether nothing is written for so long."""
        import pexpect

        return self.screen.expect([pexpect.TIMEOUT, "."], timeout=seconds) == 0

    def type(self, line):
        """Type a line."""
        self.screen.sendline(line)

    def end(self):
        """Wait for the command's end; return its exit status."""
        import pexpect

        # Linux tells the end of a terminal by an error of its own.
        try:
            self.screen.expect(pexpect.EOF)
            self.shown += self.screen.before
        except OSError:
            self.shown += self.screen.buffer
        return self._process.wait(60)

    def close(self):
        """End the command."""
        self._process.kill()
        self._process.wait()
        self.screen.close()
