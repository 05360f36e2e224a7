"""What all runners of vectors need to judge a case: leniency, and a limit on how long one may take."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Hang", "judged", "lenient", "time_limit"]

_LONGEST_S = 60
_LENIENT = ("peer_quirk", "peer_bug", "may_be_answered")
_QUIRK = "peer-quirk-or-backend-dependent"


class Hang(BaseException):
    """A case took too long; says how long."""


@contextmanager
def time_limit() -> Iterator[None]:
    """Raise `Hang` in the block once it has taken too long for any case."""
    seconds = _LONGEST_S

    def stop(*_: object) -> None:
        raise Hang(f"no answer within {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def lenient(case: dict[str, Any]) -> bool:
    """Say whether any answer or clean refusal of a case will do."""
    marks = [case, case.get("expected") or {}]
    return _QUIRK in case.get("tags", ()) or any(m.get(flag) for m in marks for flag in _LENIENT)


def judged(differs: Callable[[], str]) -> str:
    """Return what a case's judge says is wrong with it, or that it did not come to say anything."""
    try:
        with time_limit():
            return differs()
    except Hang as exc:
        return str(exc)
    except Exception as exc:  # noqa: BLE001  (whatever else comes out is what is looked for here)
        return f"traceback: {type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}"
