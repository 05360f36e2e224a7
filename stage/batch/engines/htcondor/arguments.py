"""The command of the jobs of a kind: what they share stands in their description, what is a job's own in the DAG."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.errors import UsageError
from stage.batch.workflow.model import JobSettings

__all__ = ["ATTEMPT", "Arguments", "macro", "quote_words", "vars_value"]

ATTEMPT = "$$([$(ClusterId)*1000+ifThenElse(isUndefined(NumJobStarts),0,NumJobStarts)])"
"""A number that is higher for each start of a job, also of one that a later submission of the same DAG makes."""

_NAME = re.compile(r"\{(\w+)\}")
_PLAIN = re.compile(r"[\w@%+=:,./~-]+\Z")
"""A value that is one word, and means nothing more to HTCondor."""
_PREFIX = "job_"
_MARK = "\x00"


class Arguments:
    """What makes the commands of the jobs of a kind.

    Parameters
    ----------
    settings : JobSettings
        Their common command.
    values : mapping of str to sequence
        `Workflow.values`.
    numbers : iterable of int
        The jobs of this kind.

    Attributes
    ----------
    executable, arguments : str
        As the description has them.

    Raises
    ------
    UsageError
        If there is no command, or it cannot be taken apart.
    """

    def __init__(
        self, settings: JobSettings, values: Mapping[str, Sequence[Any]], numbers: Iterable[int] = ()
    ) -> None:
        if not settings.executable:
            raise UsageError(
                f"jobs of '{settings.label}' have no command",
                code="bad-command",
                hint="Say it: runQuantumCommand in the submission's YAML.",
            )
        self._settings = settings
        self._values = values
        found = _NAME.findall(f"{settings.executable} {settings.arguments}")
        chosen = list(numbers)
        kinds = {
            name: {str(values[name][n]) for n in chosen} for name in dict.fromkeys(found) if name in values
        }
        # What is the same for all of them is part of what they share.
        same = {name: next(iter(all_)) for name, all_ in kinds.items() if len(all_) == 1}
        self._text = _NAME.sub(lambda m: same.get(m[1], m[0]), settings.arguments)
        executable = _NAME.sub(lambda m: same.get(m[1], m[0]), settings.executable)
        self._names = [name for name in kinds if name not in same]
        self._executable = executable
        is_plain = all(_PLAIN.match(value) for name in self._names for value in kinds[name])
        self.executable = _find(_put_in(executable, self._macros))
        # Values that are several words, or have quotation marks, are taken apart here, job by job.
        self._whole = not is_plain
        self.arguments = (
            f'"$({macro("arguments")})"'
            if self._whole
            else quote_words([_put_in(w, self._macros) for w in self._split(self._text)])
        )

    def values_of(self, number: int) -> dict[str, str]:
        """Return what the description lacks of a job.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        dict of str to str
            By the names of the macros.
        """
        given = {name: str(self._values[name][number]) for name in self._names}
        if not self._whole:
            return {macro(name): value for name, value in given.items()}
        text = _NAME.sub(lambda m: _MARK if m[1] == "attempt" else given.get(m[1], m[0]), self._text)
        words = [_plain(word).replace(_MARK, ATTEMPT) for word in self._split(text)]
        own = {macro("arguments"): quote_words(words)[1:-1]}
        return own | {macro(n): given[n] for n in self._names if f"{{{n}}}" in self._executable}

    def _macros(self, name: str) -> str | None:
        if name == "attempt":
            return ATTEMPT
        return f"$({macro(name)})" if name in self._names else None

    def _split(self, text: str) -> list[str]:
        try:
            return shlex.split(text)
        except ValueError as error:
            raise UsageError(
                f"the command of '{self._settings.label}' cannot be taken apart: {error} in: {text[:200]}",
                code="bad-command",
                hint="Look at runQuantumCommand, and at the quotation marks in it.",
            ) from error


def macro(name: str) -> str:
    """Return what a value is called in a submit description, so that it is no command of its own.

    Parameters
    ----------
    name : str
        Its name in the workflow.

    Returns
    -------
    str
        A name of letters, digits and underscores.
    """
    return f"{_PREFIX}{name}"


def quote_words(words: Iterable[str]) -> str:
    """Return words as the language of submit descriptions has arguments: all in double quotes, blanks in single ones.

    Parameters
    ----------
    words : iterable of str
        Arguments, or assignments of variables.

    Returns
    -------
    str
        Between double quotes.
    """
    return '"' + " ".join(_quoted(w) for w in words) + '"'


def vars_value(value: object) -> str:
    """Return a value as a line VARS of a DAG has it between its double quotes.

    Parameters
    ----------
    value : object
        Any.

    Returns
    -------
    str
        With its own quotes and backslashes marked.
    """
    return str(value).replace("\\", "\\\\").replace('"', '\\"')


def _quoted(word: str) -> str:
    text = word.replace('"', '""')
    if not word or re.search(r"[\s']", word):
        return "'" + text.replace("'", "''") + "'"
    return text


def _put_in(text: str, value_of: Callable[[str], str | None]) -> str:
    """Put values in; what stands as a macro of HTCondor's in a person's own text is no macro."""

    def one(match: re.Match[str]) -> str:
        value = value_of(match[1])
        return match[0] if value is None else value

    return _NAME.sub(one, _plain(text))


def _plain(text: str) -> str:
    return text.replace("$(", "$(DOLLAR)(")


def _find(executable: str) -> str:
    if "$(" in executable or Path(executable).is_absolute():
        return executable
    # HTCondor looks for it in the directory of the submission, and not along PATH.
    return shutil.which(executable) or executable
