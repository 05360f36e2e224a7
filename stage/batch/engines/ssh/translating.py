"""`Translator`: paths of home in what a job is told, as they are far; and where a run lies there."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stage.batch.engines.base import JobRequest

__all__ = ["FarRun", "Translator", "translator_for"]

_ODD = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class FarRun:
    """Where a submission lies on the far machine; names are relative to its base directory.

    Parameters
    ----------
    base : str
        The base directory there, absolute.
    name : str
        The run's directory below it.
    """

    base: str
    name: str

    @classmethod
    def of(cls, base: str, run_name: str, home: Path) -> FarRun:
        """Give a submission its place.

        Parameters
        ----------
        base : str
            The base directory there.
        run_name : str
            What the submission is called.
        home : pathlib.Path
            Its directory at home, by which two of one name are told apart.

        Returns
        -------
        FarRun
            The same whenever it is asked for.
        """
        mark = hashlib.sha256(os.path.realpath(home).encode()).hexdigest()[:6]
        return cls(base, f"runs/{_ODD.sub('_', run_name).strip('.') or 'run'}-{mark}")

    @property
    def submit(self) -> str:
        """Mirror of the submission's directory."""
        return f"{self.name}/submit"

    @property
    def data(self) -> str:
        """Root of the datastore there."""
        return f"{self.name}/data"

    @property
    def agent(self) -> str:
        """What the agent is told, and tells."""
        return f"{self.name}/agent"

    @property
    def inbox(self) -> str:
        """What home says."""
        return f"{self.agent}/inbox.jsonl"

    @property
    def outbox(self) -> str:
        """What the agent says."""
        return f"{self.agent}/outbox.jsonl"

    @property
    def program(self) -> str:
        """What `stage` is there."""
        return f"{self.name}/bin/stage"

    def there(self, name: str) -> str:
        """Return the whole path of a file.

        Parameters
        ----------
        name : str
            Relative to the base directory.

        Returns
        -------
        str
            Absolute, there.
        """
        return f"{self.base}/{name}"


class Translator:
    """Puts far paths in place of those of home.

    Parameters
    ----------
    pairs : iterable of (str, str)
        Absolute paths of home, and what they are there. Of two that fit, the longer counts.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._there = {home.rstrip("/"): far for home, far in pairs if home.rstrip("/")}
        words = "|".join(map(re.escape, sorted(self._there, key=len, reverse=True)))
        # A whole name: not the beginning of a longer one, nor the end of another path.
        self._home = re.compile(rf"(?<![\w./-])({words})(?![\w.-])" if words else r"(?!)")

    def text(self, text: str) -> str:
        """Translate an argument, or the text of a script.

        Parameters
        ----------
        text : str
            With any number of paths.

        Returns
        -------
        str
            With those of home replaced.
        """
        return self._home.sub(lambda m: self._there[m[1]], text)

    def request(self, request: JobRequest) -> dict[str, Any]:
        """Write an attempt as the agent is told it.

        Parameters
        ----------
        request : JobRequest
            With paths of home.

        Returns
        -------
        dict
            Values of JSON, with paths of the far machine.
        """
        settings = asdict(request.settings)
        settings["environment"] = [[key, self.text(value)] for key, value in request.settings.environment]
        # The command has what they come to.
        settings["arguments"] = ""
        return {
            "number": request.number,
            "name": request.name,
            "attempt": request.attempt,
            "command": [self.text(word) for word in request.command],
            "log": self.text(str(request.log)),
            "memory_mb": request.memory_mb,
            "after": list(request.after),
            "settings": json.loads(json.dumps(settings, default=str)),
        }

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Translate variables.

        Parameters
        ----------
        variables : mapping of str to str
            Of a site.

        Returns
        -------
        dict of str to str
            As jobs get them there.
        """
        return {key: self.text(value) for key, value in variables.items()}


def translator_for(run: FarRun, places: Mapping[str, str], programs: Mapping[str, str]) -> Translator:
    """Make the translator of a submission.

    Parameters
    ----------
    run : FarRun
        Where it lies there.
    places : mapping of str to str
        Directories of home, each with its name there.
    programs : mapping of str to str
        Programs of home, each with what is called there.

    Returns
    -------
    Translator
        Directories count under their real paths too.
    """
    pairs = [(home, run.there(name)) for home, name in places.items() if home]
    pairs += [(os.path.realpath(home), there) for home, there in pairs]
    return Translator([*pairs, *programs.items()])
