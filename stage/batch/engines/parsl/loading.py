"""Loading Parsl without what nobody here uses of it, which is most of what loading it takes."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

__all__ = ["DATABASES", "loading_parsl", "loading_worker"]

DATABASES = ("sqlalchemy",)
"""Of its monitoring."""
SERVICES = ("boto3", "botocore", "googleapiclient", "azure", "kubernetes", "msrestazure")
"""Of providers, which only the head has."""


@contextlib.contextmanager
def loading_worker() -> Iterator[None]:
    """Let Parsl's modules be imported for a process that only hands on jobs: in a third of the time.

    Yields
    ------
    None
        For the import.
    """
    import typeguard

    checked = typeguard.typechecked
    # Its classes are made by Parsl itself here: that each call's types are checked is half of what loading it takes.
    typeguard.typechecked = _unchecked
    try:
        with loading_parsl(*DATABASES, *SERVICES):
            yield
    finally:
        typeguard.typechecked = checked


def _unchecked(function: Any = None, **_: Any) -> Any:
    return _unchecked if function is None else function


@contextlib.contextmanager
def loading_parsl(*hidden: str) -> Iterator[None]:
    """Let Parsl's modules be imported as if some libraries, which it can do without, were not installed.

    Parameters
    ----------
    *hidden : str
        Their names. What runs later in this process can import them.

    Yields
    ------
    None
        For the import.
    """
    absent = [name for name in hidden if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type] # None is how an import is refused
    try:
        with warnings.catch_warnings():
            # What its own imports complain of is no affair of whoever submits jobs.
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in absent:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)
