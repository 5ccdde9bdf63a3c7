"""Handlers that count their calls in a file: at most once, whatever happens to the link."""

from __future__ import annotations

COUNTED = """
import os, time

def handler(job):
    with open("calls", "a") as file:
        file.write("x")
    for number in range(30):
        print("line", number)
        yield {"number": number, "text": "é" * 40}
        time.sleep(job["input"].get("pause", 0))
"""
CHUNKS = [{"number": number, "text": "é" * 40} for number in range(30)]
LINES = "".join(f"line {number}\n" for number in range(30))
WAITS = """
import os, time

def handler(job):
    with open("calls", "a") as file:
        file.write("x")
    while not os.path.exists("go"):
        time.sleep(0.005)
    return "done"
"""
ONE = "def handler(job):\n    return 1"


def calls(processes):
    file = processes.directory.app / "calls"
    return file.read_text().count("x") if file.exists() else 0


def let_go(processes):
    (processes.directory.app / "go").touch()
