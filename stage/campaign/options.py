"""Options of the earlier steps, which later commands take too: simple work is one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

__all__ = ["DEFINING", "EditOptions"]

DEFINING = (
    "pipeline", "task", "config", "config_file", "instrument", "no_instrument", "write_pipeline", "input",
    "prepend_inputs",
)  # fmt: skip
"""Options that say which tasks there are and what they read: what an imported graph says."""


class EditOptions(TypedDict, total=False):
    """What defines a campaign, its pipeline and its collections; names are the long options'.

    Attributes
    ----------
    campaign_name : str
        Its name; by default the directory's. Fixed once it has made a collection.
    campaign_docs : str
        What it is for.
    run_dirs : bool
        Whether its directory shows the files of its runs, those of ``camp/r1`` as ``r1``.
    artifacts : str
        How files of inputs are fetched from now on: ``direct``, ``link``, ``symlink`` or ``copy``.
    outputs_in : str
        Where outputs go from the start, inside or beside upstream's storage; a push then registers them where they are.
        Empty for the campaign's own directory. Fixed once something was written.
    cache_size : str
        How large the cache for remote inputs may become, as ``20GB``; ``0`` for none.
    pipeline : str
        URI of a pipeline definition.
    task : sequence of str
        ``label:class`` of tasks to add.
    config : sequence of str
        ``label:name=value`` overrides.
    config_file : sequence of str
        ``label:file`` overrides.
    instrument : str
        The instrument whose overrides in the pipeline count.
    no_instrument : bool
        Let none of them count, whatever instrument the pipeline names.
    write_pipeline : str
        Where to write the whole pipeline, which is then used from there; ``pipeline.yaml`` in the campaign if it is empty.
    input : sequence of str
        Input collections in search order; each may hold several, separated by commas.
    prepend_inputs : bool
        Put `input` before the inputs there are, instead of replacing them.
    chain : str
        Name of the CHAINED collection.
    no_chain : bool
        Have none.
    next_run : str
        Pattern of new runs' names.
    set_counter : int
        What ``%n`` becomes next.
    """

    campaign_name: str
    campaign_docs: str
    run_dirs: bool
    artifacts: str
    outputs_in: str
    cache_size: str
    pipeline: str
    task: Sequence[str]
    config: Sequence[str]
    config_file: Sequence[str]
    instrument: str
    no_instrument: bool
    write_pipeline: str
    input: Sequence[str]
    prepend_inputs: bool
    chain: str
    no_chain: bool
    next_run: str
    set_counter: int
