"""Tests of `stage.execution.memory`: how much each attempt gets, and whether it died of it."""

from __future__ import annotations

import subprocess
import sys
from itertools import count, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import UsageError
from stage.errors import ExecutionError
from stage.execution.allowance import Allowance, check_resources, check_wrap
from stage.execution.memory import is_out_of_memory, machine_memory_mb, memory_of_attempt


def attempts(first: int, multiplier: float, maximum: int | None, n: int = 6) -> list[int | None]:
    """Return what the first n attempts get, each before it having died of it."""
    return [memory_of_attempt(first, i, multiplier=multiplier, maximum_mb=maximum) for i in range(n)]


@pytest.mark.parametrize(
    ("first", "multiplier", "maximum", "expected"),
    [
        # The two worked examples of the field's batch service.
        (3072, 2.0, 20480, [3072, 6144, 12288, 20480, None, None]),
        (32768, 2.0, 65536, [32768, 65536, None, None, None, None]),
        # No most: it grows as long as there are retries.
        (4096, 2.0, None, [4096, 8192, 16384, 32768, 65536, 131072]),
        (8192, 3.0, 131072, [8192, 24576, 73728, 131072, None, None]),
        # The cap is reached exactly, exceeded at once, and equal to the request.
        (1024, 2.0, 4096, [1024, 2048, 4096, None, None, None]),
        (9000, 2.0, 4096, [4096, None, None, None, None, None]),
        (4096, 1.5, 4096, [4096, None, None, None, None, None]),
        # Whole megabytes, what is more is cut off.
        (1001, 1.5, 100000, [1001, 1501, 2252, 3378, 5067, 7601]),
        (10, 1.01, None, [10, 10, 10, 10, 10, 10]),
        # With 1 or less nothing grows, and the most has no effect.
        (2048, 1.0, 1024, [2048] * 6),
        (2048, 0.5, None, [2048] * 6),
        # So large that a float cannot hold it.
        (2, 1e200, 1 << 40, [2, 1 << 40, None, None, None, None]),
    ],
)
def test_memory_of_each_attempt(
    first: int, multiplier: float, maximum: int | None, expected: list[int | None]
) -> None:
    """An attempt gets what the formula says, and one attempt gets the most that there is."""
    assert attempts(first, multiplier, maximum) == expected


@given(st.integers(1, 10**6), st.floats(1.001, 50.0), st.integers(1, 10**7))
def test_exactly_one_attempt_has_the_most(first: int, multiplier: float, maximum: int) -> None:
    """Whatever the numbers, memory never shrinks, ends at the most, and is there once."""
    given_out = list(
        takewhile(
            lambda mb: mb is not None,
            (memory_of_attempt(first, n, multiplier=multiplier, maximum_mb=maximum) for n in count()),
        )
    )

    assert given_out == sorted(given_out)  # type: ignore[type-var]
    assert given_out[-1] == maximum
    assert given_out.count(maximum) == 1


def raised(error: BaseException, cause: BaseException, *, is_hidden: bool = False) -> BaseException:
    """Return an error as it is after it was raised while another was handled."""
    error.__context__, error.__suppress_context__ = cause, is_hidden
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (raised(RuntimeError("no"), MemoryError("far too much")), True),
        (raised(RuntimeError("no"), MemoryError(), is_hidden=True), True),
        (subprocess.CalledProcessError(-9, "sort"), True),
        (subprocess.CalledProcessError(137, "sort"), True),
        (ExecutionError("ended", context={"exit_status": 137}), True),
        (ExecutionError("ended", context={"exit_status": 1}), False),
        (subprocess.CalledProcessError(1, "sort"), False),
        (raised(RuntimeError("no"), ValueError("nothing to do with memory")), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_only_want_of_memory_counts(error: BaseException, expected: bool) -> None:
    """A MemoryError anywhere behind it, or a child that the system killed; and nothing else."""
    assert is_out_of_memory(error) is expected


def test_the_limit_holds_and_is_lifted_again() -> None:
    """More than the limit is a MemoryError; afterwards, and outside of it, there is none."""
    code = (
        "from stage.execution.memory import limited_memory\n"
        "bytearray(300 << 20)\n"
        "with limited_memory(250):\n"
        "    bytearray(50 << 20)\n"
        "    try: bytearray(300 << 20)\n"
        "    except MemoryError: print('refused')\n"
        "with limited_memory(250, 200.0): bytearray(300 << 20)\n"
        "with limited_memory(0): bytearray(300 << 20)\n"
        "bytearray(300 << 20)\n"
        "print('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout.split(), done.stderr) == (["refused", "done"], "")


def test_the_machine_has_memory() -> None:
    """What the system tells is more than this test needs and less than any machine has."""
    assert 64 < machine_memory_mb() < 1 << 30


@pytest.mark.parametrize(
    ("allowance", "processes", "said"),
    [
        (Allowance(0), 2, "in 0 MB"),
        (Allowance(multiplier=0.5), 2, "multiplied by 0.5"),
        (Allowance(multiplier=float("nan")), 2, "multiplied by nan"),
        (Allowance(maximum_mb=4000), 2, "4,000 MB counts only where memory grows"),
        (Allowance(8000), 0, "in this process cannot be held"),
    ],
)
def test_allowances_that_make_no_sense_are_refused(allowance: Allowance, processes: int, said: str) -> None:
    """The message has the value, and no option is taken and then does nothing."""
    with pytest.raises(UsageError, match=said):
        check_resources(processes, allowance, "")


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        ("nice -n 1", "where the command of a worker goes"),
        ("env {command} {command}", "once"),
        ("nice '{command}", "is no command"),
        ("no-such-program-here {command}", "no program that can be found"),
    ],
)
def test_a_wrapper_that_wraps_nothing_is_refused(wrap: str, said: str) -> None:
    """Before anything is begun it is known that workers could start in it."""
    with pytest.raises(UsageError, match=said):
        check_wrap(wrap)


def test_quanta_of_this_process_cannot_be_wrapped() -> None:
    """A wrapper needs workers."""
    with pytest.raises(UsageError, match="no worker processes"):
        check_resources(0, Allowance(), "nice {command}")


def test_retries_follow_from_growing_memory() -> None:
    """As in the field's batch service: 5 where memory grows, unless a number is given."""
    growing = Allowance(multiplier=2.0)

    assert [Allowance().retries(None), growing.retries(None), growing.retries(0)] == [0, 5, 0]
