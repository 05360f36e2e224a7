"""Parsl's interchange, to which all pilots of a run are connected, in a process that ends when the head does.

By itself it would live on after a head that was killed, and keep its pilots running jobs for nobody. Without it, pilots
end when they have missed its signs of life for as long as their threshold is.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

from stage.batch.engines.parsl.loading import loading_worker

__all__ = ["main"]

_MODULE = "parsl.executors.high_throughput.interchange"


def _end_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Run until the process whose number is the only argument is gone."""
    # Ctrl-C in a terminal is the head's affair: it says what is to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_without, args=(int(sys.argv.pop()),), daemon=True).start()
    with loading_worker():
        import parsl  # noqa: F401 - what the program loads
    runpy.run_module(_MODULE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
