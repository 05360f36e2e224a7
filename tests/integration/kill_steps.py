"""Kill a command before each of its steps on disk in turn, and repeat it: one process, a fork for each life.

``python kill_steps.py ROOT FOLDER COMMAND...`` runs in FOLDER and prints how many steps were killed before. What a
killed life left is what the next command finds; the last line on standard error is that of the command that failed.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

STEPS = {
    "os.mkdir",
    "os.rename",
    "os.link",
    "os.remove",
    "os.rmdir",
    "os.truncate",
    "os.symlink",
    "sqlite3.connect",
}


def is_step(event: str, args: tuple[Any, ...], root: str) -> bool:
    if event == "open":
        path, _, flags = args
        return str(path).startswith(root) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in STEPS and root in str(args[0])


def life(words: list[str], root: str, last: int | None) -> int:
    """Run the command in a child; kill it before step number ``last``. Return its exit code, negative if killed."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = 0

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        if last is not None and is_step(event, args, root):
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    from cli.main import run_command

    code = 1
    try:
        code = run_command(words)
    finally:
        os._exit(code)


def _import_all(words: list[str]) -> None:
    """Run the command once in this process, so that its many lives need not import what it takes."""
    from cli.main import run_command

    if code := run_command(words):
        sys.exit(f"undisturbed, the command gave {code}")


def main(root: str, folder: str, *words: str) -> None:
    """Kill at every step until a life ends by itself."""
    os.chdir(folder)
    sys.stdout = io.StringIO()  # the commands' own words
    made = Path(folder) / root
    _import_all(list(words))
    for step in range(1, 1000):
        shutil.rmtree(made, ignore_errors=True)
        if life(list(words), str(made), step) >= 0:
            sys.__stdout__.write(f"{step - 1}\n")
            return
        left = sorted(p.name for p in made.iterdir()) if made.exists() else []
        if not (made / ".campaign.json").exists() and (code := life(list(words), str(made), None)):
            sys.exit(f"killed before step {step}, it left {left}; then the command gave {code}")
        os.chdir(made)
        if code := life(["status"], str(made), None):
            sys.exit(f"killed before step {step}, it left {left}; then status gave {code}")
        os.chdir(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
