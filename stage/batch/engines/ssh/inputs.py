"""`InputFinder`: which files jobs need that the far side may lack, found in the graph and at home."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, StageError
from stage.batch.engines.ssh.home import Home
from stage.execution.record_file import RecordFile, read_lines
from stage.execution.starts import start_uri
from stage.pipeline.node import METADATA
from sync.fetching.binding import Binding
from sync.fetching.places import Places
from sync.filesystem import files

if TYPE_CHECKING:
    from stage.execution.outcome import StoredArtifact
    from stage.graph.quantum import PlannedDataset, Quantum

__all__ = ["InputFinder", "Needed", "newest_artifacts"]

_OWN_NAMES = ".none"
"""Stands for upstream's root where no file has a name by it: no absolute path begins so."""
_KNOWN = "blake3:"


@dataclass(frozen=True, slots=True)
class Needed:
    """What some jobs need, by its name below the far datastore.

    Parameters
    ----------
    inputs : dict of str to (str, int, str)
        What was there when the graph was made: where its bytes are, size, and checksum.
    made : dict of str to int
        What quanta of other jobs make: the dataset's number in the graph.
    """

    inputs: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)


class InputFinder:
    """Looks up what jobs read.

    Parameters
    ----------
    home : Home
        The submission.
    takes_all : bool
        Whether inputs that are no files at home count too.
    """

    def __init__(self, home: Home, *, takes_all: bool) -> None:
        self._home = home
        self._takes_all = takes_all
        self._places = Places(home.binding.upstream or _OWN_NAMES)
        self._labels: set[str] = set()

    def binding(self) -> Binding:
        """Return what the far datastore is to say of itself.

        Returns
        -------
        Binding
            Inputs have names there.
        """
        said = self._home.binding
        return Binding(
            said.upstream or _OWN_NAMES, is_local=True, is_dropped=said.is_dropped, cache=said.cache
        )

    def of(self, numbers: Sequence[int]) -> Needed:
        """Find what some jobs read.

        Parameters
        ----------
        numbers : sequence of int
            The jobs.

        Returns
        -------
        Needed
            Without what each makes itself, and what was asked for before for all quanta of a task.
        """
        found = Needed()
        if self._home.graph is None:
            return found
        with self._home.lock:
            for number in numbers:
                ordinals = self._home.quanta_of(number)
                own: set[int] = set()
                for quantum in self._home.graph.quanta(ordinals) if len(ordinals) else ():
                    for refs in quantum.outputs.values():
                        own.update(d.ordinal for d in refs)
                    self._take(quantum, own, found)
        return found

    def _take(self, quantum: Quantum, own: Collection[int], found: Needed) -> None:
        for refs in quantum.inputs.values():
            for d in refs:
                if d.uri is None or d.ordinal in own:
                    continue
                if files.is_absolute(d.uri) or self._home.file.is_found(d):
                    self._take_input(d, found)
                else:
                    found.made[d.uri] = d.ordinal
        if quantum.label in self._labels:
            return
        self._labels.add(quantum.label)
        further = list(self._home.file.init_inputs(quantum.label).values())
        if self._home.file.packages is not None:
            further.append(self._home.file.packages)
        for d in further:
            self._take_input(d, found)

    def _take_input(self, d: PlannedDataset, found: Needed) -> None:
        from registry.model.records import Artifact

        if d.uri is None:
            return
        name = self._places.name_or_none(d.uri) if files.is_absolute(d.uri) else d.uri
        if name is None or name in found.inputs:
            return
        with self._home.store.reading(Artifact(d.uri, d.size, d.checksum, d.formatter)) as place:
            if not (self._takes_all or files.is_local(place)):
                return
            try:
                size = files.size(place)
            except NotFoundError:
                return  # the job says so itself, in the words that it has for it anywhere
        found.inputs[name] = (place, size, d.checksum if d.checksum.startswith(_KNOWN) else "")

    def place(self, name: str) -> str:
        """Return where a file of the datastore is at home.

        Parameters
        ----------
        name : str
            Relative to its root.

        Returns
        -------
        str
            It need not be there.
        """
        return files.join(self._home.data, name)

    def forget_labels(self) -> None:
        """Ask again for what all quanta of a task read: it may not have been sent."""
        self._labels.clear()

    def made_at_home(self, made: dict[str, int], in_flight: Collection[int]) -> dict[str, str]:
        """Choose from what quanta make, and the far side lacks, what it is to have from home.

        Parameters
        ----------
        made : dict of str to int
            As of `Needed`.
        in_flight : collection of int
            Jobs that run there, or are to: what they make is theirs.

        Returns
        -------
        dict of str to str
            Name to where it is at home. Of what was never made, the metadata of its maker, if that is complete: by it a
            job tells what is absent from what is missing.
        """
        home, out = self._home, {}
        with home.lock:
            for name, ordinal in made.items():
                maker = int(home.makers[ordinal])
                if maker < 0 or int(home.job_of[maker]) in in_flight:
                    continue
                place = files.join(home.data, name)
                if not files.exists(place):
                    name = str(home.file.quantum(maker).outputs[METADATA][0].uri)  # noqa: PLW2901
                    place = files.join(home.data, name)
                if files.exists(place):
                    out[name] = place
        return out

    def earlier(self, number: int) -> Iterator[tuple[str, StoredArtifact | None]]:
        """Find what earlier attempts of a job have left at home.

        Parameters
        ----------
        number : int
            The job.

        Yields
        ------
        str, StoredArtifact or None
            A record file and None; or a name below the datastore, and what is recorded of it.
        """
        record, start = str(self._home.where.record(number)), 0
        last = ""
        while os.path.exists(place := start_uri(record, start)):  # noqa: PTH110 - one call a job
            yield place, None
            last, start = place, start + 1
        for artifact in newest_artifacts(last) if last else ():
            yield artifact.uri, artifact


def newest_artifacts(record: str) -> list[StoredArtifact]:
    """Read what a record file lists.

    Parameters
    ----------
    record : str
        The very file.

    Returns
    -------
    list of StoredArtifact
        Each file once, as it was recorded last; none if nobody can read it.
    """
    try:
        found = RecordFile.parse(record, *read_lines(record))
    except StageError:
        return []
    return list({a.uri: a for o in found.outcomes for a in o.artifacts}.values())
