"""The commands of a shell task, one after another; those that are done in a kept scratch directory are not done again."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.model.digest import digest_json
from stage.pipeline.value_types import text_of_value
from stage.tasks.script import run_script
from stage.tasks.values import said_values, with_values
from stage.tasks.workspace import Scratch

__all__ = ["Commands"]


@dataclass
class Commands:
    """What one quantum is to run.

    Parameters
    ----------
    owner : str
        The task, for errors.
    texts : sequence of (str, str)
        Name, which may be empty, and script of each command; one for a task that is a script.
    typed : mapping of str to str
        Type of each output that may be said by a variable, by its name.
    environment : mapping of str to str
        Variables.
    rests_on : object
        JSON values of all that a command which is done rests on, besides the scripts.
    ran : list of dict
        Number, name and seconds of each that has come to its end.
    """

    owner: str
    texts: Sequence[tuple[str, str]]
    typed: Mapping[str, str]
    environment: Mapping[str, str]
    rests_on: Any = None
    ran: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._digest = digest_json([[text for _, text in self.texts], self.rests_on])

    def begin(self, scratch: Scratch, log: logging.Logger, begin_at: int = 0) -> int:
        """Find out which command to begin at.

        Parameters
        ----------
        scratch : Scratch
            As an earlier attempt left it; emptied if that is the first.
        log : logging.Logger
            Is told.
        begin_at : int, optional
            What a person says; 0 for the first that is not done.

        Returns
        -------
        int
            Its number, from 1.
        """
        n, done, is_same = len(self.texts), scratch.done, self._digest == scratch.digest
        if done and not is_same:
            log.warning("what is done in %s rests on other inputs, settings or scripts", scratch.root)
        first = min(begin_at, n) if done and begin_at else 1
        if begin_at > first:
            log.warning("nothing is kept of an earlier attempt: it begins at the first command")
        if not begin_at and is_same and done < n:
            first = done + 1
        if first == 1:
            scratch.clear()
        else:
            log.info("goes on at command %d of %d in %s", first, n, scratch.root)
        (scratch.root / "no-work").unlink(missing_ok=True)
        return first

    def run(self, scratch: Scratch, log: logging.Logger, first: int) -> None:
        """Run them, up to one that finds no work.

        Parameters
        ----------
        scratch : Scratch
            Where; gets the values that they say.
        log : logging.Logger
            Gets what they print; each command has a section of its own where there are several.
        first : int
            The one to begin at.

        Raises
        ------
        ScriptFailed
            If one fails; says which. Those before it are noted as done.
        PipelineError
            If one says a value that is not of its type.
        """
        for number in range(first, len(self.texts) + 1):
            began = time.monotonic()
            self._run(number, scratch, log)
            scratch.note(self._digest, number)
            wall_s = round(time.monotonic() - began, 3)
            self.ran.append({"command": number, "name": self.texts[number - 1][0], "wall_s": wall_s})
            if (scratch.root / "no-work").exists():
                return

    def _run(self, number: int, scratch: Scratch, log: logging.Logger) -> None:
        (name, text), n = self.texts[number - 1], len(self.texts)
        said = f"command {number} of {n}{f' {name!r}' if name else ''}"
        if n > 1:
            log.info("----- %s -----", said)
        environment = {**self.environment, **{k: text_of_value(v) for k, v in scratch.values.items()}}
        run_script(
            with_values(text, self.typed, scratch.root, number) if self.typed else text,
            environment,
            scratch.root,
            log,
            file=f"script-{number}.bash" if n > 1 else "script.bash",
            what=said if n > 1 else "the script",
        )
        scratch.values |= said_values(self.typed, environment, scratch.root, self.owner)
