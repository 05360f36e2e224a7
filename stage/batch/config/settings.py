"""`Settings`: what a submission's YAML says."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from stage.batch.config.lookup import SEARCH_ORDER, Lookup
from stage.batch.config.tree import Layered

if TYPE_CHECKING:
    from stage.batch.config.explaining import Explained
    from stage.batch.config.notes import Note

__all__ = ["SEARCH_ORDER", "Settings"]


class Settings(Lookup):
    """Settings of a submission.

    Parameters
    ----------
    layered : Layered
        Values and where each came from.
    environment : mapping of str to str
        Variables of the environment.
    order : sequence of str, optional
        Sections in which keys are looked for.
    notes : sequence of Note, optional
        What a person may want to know of how they were read.
    """

    def __init__(
        self,
        layered: Layered,
        environment: Mapping[str, str],
        *,
        order: Sequence[str] = SEARCH_ORDER,
        notes: Sequence[Note] = (),
    ) -> None:
        super().__init__(layered, environment, order)
        self._notes = tuple(notes)

    @classmethod
    def read(
        cls,
        path: str | FilePath,
        *,
        command_line: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        defaults: bool | Mapping[str, Any] = True,
        engine_defaults: Callable[[str], Mapping[str, Any]] | None = None,
        timestamp: str = "",
    ) -> Settings:
        """Read the settings of a submission.

        Parameters
        ----------
        path : str or path
            Its YAML.
        command_line : mapping, optional
            What goes over the file: by names of options (``compute_site``) or of settings (``computeSite``). What is
            empty, false or None counts as not given.
        environment : mapping of str to str, optional
            Variables; of this process if None.
        defaults : bool or mapping, optional
            Whether what the file does not say is as the package has it; or what it is instead.
        engine_defaults : callable, optional
            Returns what an engine has as defaults, by its name as ``wmsServiceClass`` says it.
        timestamp : str, optional
            When it was read, as in names of runs; now if empty.

        Returns
        -------
        Settings
            With ``timestamp``, ``operator``, ``uniqProcName`` and ``submitPath``.

        Raises
        ------
        NotFoundError
            If the file, or one that it includes, is not there.
        UsageError
            If one of them is no settings, they include each other, or a value is none that its setting can have.
        StorageError
            If a file cannot be read.
        """
        from stage.batch.config.making import make_settings

        return make_settings(
            path,
            command_line=command_line or {},
            environment=environment,
            defaults=defaults,
            engine_defaults=engine_defaults,
            timestamp=timestamp,
        )

    @classmethod
    def of_file(
        cls,
        path: str | FilePath,
        *,
        environment: Mapping[str, str] | None = None,
        defaults: Mapping[str, Any] | None = None,
        order: Sequence[str] = SEARCH_ORDER,
    ) -> Settings:
        """Read a file with what it includes, and nothing else.

        Parameters
        ----------
        path : str or path
            The YAML.
        environment : mapping of str to str, optional
            Variables; of this process if None.
        defaults : mapping, optional
            What the file goes over.
        order : sequence of str, optional
            Sections in which keys are looked for.

        Returns
        -------
        Settings
            No submission is made of them.

        Raises
        ------
        NotFoundError, UsageError, StorageError
            As for `read`.
        """
        from stage.batch.config.making import plain_settings

        return plain_settings(path, environment=environment, defaults=defaults or {}, order=order)

    def __repr__(self) -> str:
        return f"Settings({', '.join(map(str, self._layered.values))})"

    def inside(self, section: Mapping[str, Any]) -> Settings:
        """Return a section as settings of their own.

        Parameters
        ----------
        section : mapping
            Of these settings.

        Returns
        -------
        Settings
            In which only what the section says itself is found.
        """
        return Settings(Layered(dict(section)), self._environment, order=())

    def in_order(self, order: Sequence[str]) -> Settings:
        """Return the same settings, looked for in other sections.

        Parameters
        ----------
        order : sequence of str
            Names of sections, most specific first; the top comes after them.

        Returns
        -------
        Settings
            Nothing else differs.
        """
        return Settings(self._layered, self._environment, order=order, notes=self._notes)

    def document(self) -> dict[str, Any]:
        """Return all of them, as they are written to ``config.yaml``.

        Returns
        -------
        dict
            The caller's own; read again, without defaults, it says the same.
        """
        empty = {name for name in SEARCH_ORDER if self._layered.values.get(name) == {}}
        return copy.deepcopy({k: v for k, v in self._layered.values.items() if k not in empty})

    def explain(self, keys: Iterable[str] | None = None, **where: Any) -> list[Explained]:
        """Say what settings are, and where each came from.

        Parameters
        ----------
        keys : iterable of str, optional
            As for `search`; all that are written if None.
        **where
            As for `search`.

        Returns
        -------
        list of Explained
            One a setting.
        """
        from stage.batch.config.explaining import explain

        return explain(self, self._layered, keys, where)

    def not_used(self) -> list[Note]:
        """Say which of the settings that somebody has said mean nothing here, each with why.

        Returns
        -------
        list of Note
            Empty if all mean something.
        """
        from stage.batch.config.notes import not_used

        return not_used(self._layered)

    def notes(self) -> list[Note]:
        """Say all that a person may want to know: how files were read, probable misspellings, what means nothing here.

        Returns
        -------
        list of Note
            One line each.
        """
        from stage.batch.config.notes import misspelled

        return [*self._notes, *misspelled(self._layered), *self.not_used()]
