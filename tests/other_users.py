"""Things done as other users: a child of this process that has given up being root. What it needs is imported before."""

from __future__ import annotations

import os
import pickle
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest

__all__ = ["as_user", "needs_root"]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="two users: only root can become others")


def as_user(
    uid: int, groups: Sequence[int], act: Callable[..., Any], *given: Any, umask: int = 0o077, **named: Any
) -> Any:
    """Return what a function returns that is called as another user, or raise what it raises."""
    with tempfile.TemporaryFile() as answer:
        with warnings.catch_warnings(
            action="ignore", category=DeprecationWarning
        ):  # of threads that only wait
            child = os.fork()
        if child == 0:
            _act(uid, groups, umask, act, given, named, answer.fileno())
        _, status = os.waitpid(child, 0)
        answer.seek(0)
        data = answer.read()
    assert status == 0, f"the child ended with {status}"
    is_good, found = pickle.loads(data)
    if not is_good:
        pytest.fail(f"as user {uid}: {found}")
    return found


def _act(
    uid: int,
    groups: Sequence[int],
    umask: int,
    act: Callable[..., Any],
    given: Sequence[Any],
    named: dict[str, Any],
    answer: int,
) -> None:
    try:
        os.setgroups(list(groups))
        os.setgid(uid)
        os.setuid(uid)
        os.umask(umask)
        found = (True, act(*given, **named))
    except BaseException:  # noqa: BLE001 - whatever it is, the parent tells it
        found = (False, traceback.format_exc())
    os.write(answer, pickle.dumps(found))
    os._exit(0)
