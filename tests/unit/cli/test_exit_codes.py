"""Exit codes are API: each family of errors has its own, and the pages list them all."""

from __future__ import annotations

import pytest

from cli.exit_codes import MEANING, ExitCode, exit_code
from registry import errors
from stage.errors import QuantumFailed
from sync.errors import TransferError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.StageError("x"), 1),
        (errors.StorageError("x"), 1),
        (TransferError("x"), 1),
        (QuantumFailed("x"), 1),
        (errors.InternalError("x"), 1),
        (errors.UsageError("x"), 2),
        (errors.QueryError("x"), 2),
        (errors.PipelineError("x"), 2),
        (errors.DataIdError("x"), 2),
        (errors.NotFoundError("x"), 10),
        (errors.BusyError("x"), 11),
        (errors.ConflictError("x"), 12),
        (errors.AlreadyExistsError("x"), 12),
        (errors.IntegrityError("x"), 13),
        (errors.SchemaVersionError("x"), 13),
    ],
)
def test_each_family_has_its_code(error: errors.StageError, code: int) -> None:
    """What a caller does next decides the code."""
    assert exit_code(error) == code


def test_the_codes_are_those_that_were_promised() -> None:
    """The numbers never change, and each has its meaning in words."""
    assert [c.value for c in ExitCode] == [0, 1, 2, 3, 10, 11, 12, 13, 14, 130]
    assert set(MEANING) == set(ExitCode)
