"""One attempt at one quantum: what is known of it while it lasts, and small questions about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from registry.model.records import QuantumStatus
from stage.execution.earlier import Earlier
from stage.execution.logs import QuantumLog
from stage.execution.outcome import StoredArtifact
from stage.execution.usage import Usage
from stage.pipeline.struct import NoWorkFound

if TYPE_CHECKING:
    from stage.graph.quantum import Quantum

__all__ = ["Trial", "attempt_suffix", "check_minimum", "describe", "plain", "without"]


@dataclass
class Trial:
    """One attempt at one quantum, while it lasts.

    Parameters
    ----------
    quantum : Quantum
        Which.
    attempt : int
        How often it was tried before.
    usage : Usage
        Measures it.
    log : QuantumLog
        Its log.
    status, message : str
        How it ends; `end` sets them.
    notes : dict
        What the task noted.
    earlier : Earlier, optional
        What the quantum left when it was complete before.
    memory_mb : int
        How much memory it is held to, in megabytes; 0 is no limit.
    cpus : int
        How many cores it was given; 0 where nobody asked.
    out_of_memory : bool
        Whether it failed for want of memory; `end` sets it.
    standing : sequence of StoredArtifact
        What it made when it was complete before and is still recorded.
    """

    quantum: Quantum
    attempt: int
    usage: Usage
    log: QuantumLog
    status: str = QuantumStatus.SUCCEEDED
    message: str = ""
    notes: dict[str, Any] = field(default_factory=dict)
    earlier: Earlier | None = None
    memory_mb: int = 0
    cpus: int = 0
    out_of_memory: bool = False
    standing: Sequence[StoredArtifact] = ()

    def end(self, status: str, message: str, *, out_of_memory: bool = False) -> None:
        """Note how it ended.

        Parameters
        ----------
        status : str
            One of `QuantumStatus`.
        message : str
            Why.
        out_of_memory : bool, optional
            Whether that is for want of memory.
        """
        self.status, self.message, self.out_of_memory = status, message, out_of_memory


def attempt_suffix(status: str, attempt: int) -> str:
    """Return what the names of an attempt's log and metadata have besides the planned ones.

    Parameters
    ----------
    status : str
        What became of it.
    attempt : int
        How often the quantum was tried before.

    Returns
    -------
    str
        Empty for a complete quantum; for others something that no later attempt has.
    """
    return "" if status in QuantumStatus.COMPLETE else f"_{status}-{attempt}"


def without(quantum: Quantum, absent: frozenset[int]) -> Quantum:
    """Leave out inputs that were never made.

    Parameters
    ----------
    quantum : Quantum
        Which.
    absent : frozenset of int
        Ordinals of datasets that do not exist.

    Returns
    -------
    Quantum
        With the other inputs.
    """
    if not absent:
        return quantum
    kept = {name: [d for d in refs if d.ordinal not in absent] for name, refs in quantum.inputs.items()}
    return replace(quantum, inputs=kept)


def check_minimum(quantum: Quantum) -> None:
    """Refuse a quantum with too few inputs.

    Parameters
    ----------
    quantum : Quantum
        Which.

    Raises
    ------
    NoWorkFound
        If there are fewer of an input than its connection's minimum.
    """
    for connection in quantum.node.inputs:
        n = len(quantum.inputs.get(connection.name, ()))
        if n < connection.minimum:
            raise NoWorkFound(
                f"{n} of at least {connection.minimum} '{connection.name}' ({connection.dataset_type}) are there"
            )


def describe(error: BaseException) -> str:
    """Word what a task raised.

    Parameters
    ----------
    error : BaseException
        Whatever it was.

    Returns
    -------
    str
        Its kind and its text.
    """
    try:
        text = str(error).strip()
    except Exception:  # noqa: BLE001 - an exception of the user's may fail at anything
        text = "(it has no text)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def plain(notes: dict[str, Any]) -> Any:
    """Return what a task noted as JSON has it; what JSON cannot hold, as text.

    Parameters
    ----------
    notes : dict
        Whatever it noted.

    Returns
    -------
    object
        Plain values.
    """
    if not notes:
        return {}
    try:
        return json.loads(json.dumps(notes, default=_text))
    except (TypeError, ValueError):
        return {"unreadable": repr(notes)}


def _text(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
