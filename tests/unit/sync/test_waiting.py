"""When threads are worth it: where a thread waits of its own accord, not where others keep it from computing."""

from __future__ import annotations

import subprocess
import sys
import time

from sync.waiting import Stopwatch


def test_who_waits_for_an_answer_each_time_waits() -> None:
    """Twenty short sleeps, as for twenty answers of a server, are waiting."""
    watch = Stopwatch()
    for _ in range(20):
        time.sleep(0.002)

    assert watch.waited(20)


def test_who_is_kept_from_computing_does_not_wait() -> None:
    """A thread that only computes does not wait, however many others want the processor."""
    script = "import time\nend = time.monotonic() + 0.6\nwhile time.monotonic() < end: pass"
    others = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    watch, end = Stopwatch(), time.monotonic() + 0.3
    while time.monotonic() < end:
        pass

    assert not watch.waited(20)
    for other in others:
        other.wait()


def test_one_long_wait_is_not_waiting_for_each() -> None:
    """A disk that stops everybody once is nothing that threads could shorten."""
    watch = Stopwatch()
    time.sleep(0.05)

    assert not watch.waited(20)
