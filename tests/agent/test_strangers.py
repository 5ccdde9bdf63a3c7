"""Another user of the same machine, who finds every door open, as on mounts without modes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rpnb.protocol.messages import Hello, encode
from tests.agent.agents import Peer

KNOCK = """
import os, socket, sys
os.setgid(12345)
os.setuid(12345)
client = socket.socket(socket.AF_UNIX)
client.settimeout(60)
client.connect(sys.argv[1])
try:
    client.sendall(bytes.fromhex(sys.argv[2]))
    print(len(client.recv(100)))
except (BrokenPipeError, ConnectionResetError):
    print(0)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("door", ["socket", "control"])
def test_another_user_gets_no_answer_and_drives_nothing(agent, peer, door):
    path = getattr(agent.directory, door)
    if door == "control":
        # The worker serves one relay at a time.
        agent.kill_relay()
    path.chmod(0o666)
    for folder in path.parents:
        if folder.stat().st_mode & 0o5 != 0o5:
            folder.chmod(0o755)
    hello = encode(Hello("stranger")).hex()
    knock = [sys.executable, "-c", KNOCK, str(path), hello]
    done = subprocess.run(knock, capture_output=True, text=True, timeout=90)
    assert done.stdout == "0\n", done.stderr
    agent.start()
    assert Peer(agent).run("r", "1").kind == "done"
