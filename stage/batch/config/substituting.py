"""Text with names of other settings in it: ``{name}``, as `str.format` writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from registry.errors import UsageError

__all__ = ["Filler"]

_LATER = re.compile(r"(\$\{[^{}]+\})")
"""A variable of the environment that was not put in: its braces are its own."""
_WIDEST = 10_000
_LONGEST = 4 << 20
_DIGITS = re.compile(r"\d+")


class Filler:
    """Fills in texts.

    Parameters
    ----------
    value_of : callable
        Returns the value of a name, ready to be put in; "" if there is none.
    leave : callable, optional
        Tells which names stay as they are written.
    """

    def __init__(
        self, value_of: Callable[[str], Any], leave: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._value_of = value_of
        self._leave = leave

    def fill(self, text: str) -> str:
        """Put in what is named.

        Parameters
        ----------
        text : str
            With ``{name}``, ``{name:03d}``, ``{name!r}``; ``{{`` and ``}}`` are braces.

        Returns
        -------
        str
            What is put in is not looked at again.

        Raises
        ------
        UsageError
            If the braces do not match, a format does not suit its value, or the text gets out of hand.
        """
        if "{" not in text and "}" not in text:
            return text
        numbers = _Numbers()
        pieces = _LATER.split(text) if "${" in text else [text]
        try:
            filled = [p if n % 2 else self._fill(p, numbers, 0) for n, p in enumerate(pieces)]
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(
                f"'{_short(text)}' cannot be filled in: {error}",
                code="batch-config-substitution",
                hint="A brace that is meant as one is written twice: '{{' or '}}'.",
            ) from error
        return _joined(filled)

    def _fill(self, text: str, numbers: _Numbers, depth: int) -> str:
        out: list[str] = []
        length = 0
        for literal, name, form, conversion in Formatter().parse(text):
            out.append(literal)
            if name is not None:
                out.append(self._field(name, form or "", conversion, numbers, depth))
                length += len(out[-1])
                _check_length(length)
        return "".join(out)

    def _field(self, name: str, form: str, conversion: str | None, numbers: _Numbers, depth: int) -> str:
        if self._leave(name):
            return "".join(
                ["{", name, f"!{conversion}" if conversion else "", f":{form}" if form else "", "}"]
            )
        value = _converted(self._value_of(numbers.name(name)), conversion)
        if isinstance(value, Mapping):
            problem = f"'{name}' is a section, not a value"
            raise TypeError(problem)
        if form:
            if depth:
                problem = f"a format in a format of a format, '{form}'"
                raise ValueError(problem)
            form = self._fill(form, numbers, depth + 1)
            if any(len(d) > len(str(_WIDEST)) or int(d) > _WIDEST for d in _DIGITS.findall(form)):
                problem = f"format '{_short(form)}' is wider than {_WIDEST}"
                raise ValueError(problem)
        return format(value, form)


class _Numbers:
    """Fields without names are called 0, 1, 2..., as `str.format` calls them."""

    def __init__(self) -> None:
        self._next = 0
        self._by_hand = False

    def name(self, name: str) -> str:
        """Return what a field is called."""
        if name.isdigit():
            self._by_hand = True
        if name:
            self._check(mixed=name.isdigit() and self._next > 0)
            return name
        self._check(mixed=self._by_hand)
        self._next += 1
        return str(self._next - 1)

    def _check(self, *, mixed: bool) -> None:
        if mixed:
            problem = "fields with numbers and fields without any, '{}', cannot be mixed"
            raise ValueError(problem)


def _converted(value: Any, conversion: str | None) -> Any:
    if conversion is None:
        return value
    return Formatter().convert_field(value, conversion)  # it refuses others itself


def _joined(pieces: list[str]) -> str:
    _check_length(sum(map(len, pieces)))
    return "".join(pieces)


def _check_length(length: int) -> None:
    if length > _LONGEST:
        raise UsageError(
            f"a value grows longer than {_LONGEST >> 20} MiB when names are put in",
            code="batch-config-substitution",
        )


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}…"
