"""``--lock-timeout``: how long a command that changes a campaign waits for another one."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["may_wait"]

_LockTimeout = Annotated[
    float | None,
    typer.Option(
        "--lock-timeout",
        min=0,
        metavar="SECONDS",
        help="Longest wait for another command that is changing the campaign; by default none.",
    ),
]


def may_wait(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command that changes a campaign the option ``--lock-timeout``.

    Parameters
    ----------
    function : callable
        The command.

    Returns
    -------
    callable
        The same, for Typer; one that has no ``campaign_dir`` is returned as it is.
    """
    signature = inspect.signature(function, eval_str=True)
    if "campaign_dir" not in signature.parameters:
        return function

    @functools.wraps(function)
    def command(*, lock_timeout: float | None = None, **kwargs: Any) -> None:
        import stage

        with stage.lock_timeout(lock_timeout or 0.0):
            function(**kwargs)

    extra = inspect.Parameter(
        "lock_timeout", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_LockTimeout
    )
    shown = [*signature.parameters.values(), extra]
    command.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in shown}
    del command.__wrapped__
    return command
