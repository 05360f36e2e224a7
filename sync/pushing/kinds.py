"""The kinds of conflict: what leaving one out means, or why that would not be safe, and the way on from it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HINTS", "KINDS", "STRICT", "Kind"]


@dataclass(frozen=True)
class Kind:
    """One kind of conflict.

    Parameters
    ----------
    hint : str
        The way on, with commands.
    skip : str
        What ``--on-conflict KIND=skip`` means; empty where that would not be safe.
    unsafe : str
        Why it would not be.
    """

    hint: str
    skip: str = ""
    unsafe: str = ""


_ANEW = "make ours in a run of another name: 'stage run --new-run', then 'stage push RUN' with that name"
_UPSTREAM_STAYS = "upstream's stays as it is, ours stays here"
_PROVENANCE = "provenance keeps their ids"

KINDS = {
    "universe-differs": Kind(
        "Make a campaign of that upstream's universe: 'stage clone UPSTREAM DIRECTORY'.",
        unsafe="nothing can be compared between different dimensions",
    ),
    "schema-version-differs": Kind(
        "Use the version of stage that upstream needs; 'stage repo info UPSTREAM' tells it.",
        unsafe="rows of another schema cannot be compared",
    ),
    "name-not-allowed": Kind(
        "Name the runs so that they begin with it ('stage edit --next-run', then 'stage run --new-run'), the chain by "
        "'stage push --chain NAME', or ask its keeper.",
        unsafe="who may write which names is upstream's to decide; name the runs that may go: 'stage push RUN'",
    ),
    "collection-type-differs": Kind(
        "Take another name: 'stage push --chain NAME' for a chain; for a run 'stage run --new-run', then "
        "'stage push RUN' with the new one.",
        unsafe="the run or chain that was asked for would not be there",
    ),
    "dataset-type-differs": Kind(
        "Leave them out: 'stage push --on-conflict dataset-type-differs=skip'; or rename the dataset type in the "
        "pipeline and " + _ANEW + ".",
        skip="datasets of that type stay here",
    ),
    "dataset-type-unknown": Kind(
        "Define it there: 'stage push --register-dataset-types'; or leave it out: "
        "'stage push --on-conflict dataset-type-unknown=skip'; or have its keeper run "
        "'stage repo register-dataset-type'.",
        skip="datasets of that type stay here",
    ),
    "storage-class-unknown": Kind(
        "Leave them out: 'stage push --on-conflict storage-class-unknown=skip'; or write them as Json, Yaml, ArrowTable, "
        "DataFrame or Columns.",
        skip="datasets of that type stay here",
    ),
    "record-differs": Kind(
        "Keep upstream's, which a push never changes: 'stage push --on-conflict record-differs=skip'; or ask its keeper.",
        skip="upstream's record is kept, and what is pushed refers to that",
    ),
    "record-deleted": Kind(
        "Leave out what needs it with 'stage push --where EXPR', or have its keeper put it back: "
        "'stage repo import UPSTREAM FOLDER'.",
        unsafe="what needs the record could not be pushed; leave that out by --where",
    ),
    "record-key-taken": Kind(
        "Leave out what needs it with 'stage push --where EXPR', or give ours another name.",
        unsafe="what needs the record could not be pushed; leave that out by --where",
    ),
    "dataset-exists": Kind(
        "Keep upstream's: 'stage push --on-conflict dataset-exists=skip'; or " + _ANEW + ".",
        skip=_UPSTREAM_STAYS,
    ),
    "dataset-differs": Kind(
        "Keep upstream's: 'stage push --on-conflict dataset-differs=skip'; or " + _ANEW + ".",
        skip=_UPSTREAM_STAYS,
    ),
    "artifact-differs": Kind(
        "Leave ours here: 'stage push --on-conflict artifact-differs=skip'; or have upstream's keeper look at that file "
        "('stage repo prune UPSTREAM --orphans' removes what no dataset names), then 'stage push' again.",
        skip="the file stays as it is, our dataset stays here",
    ),
    "chain-changed": Kind(
        "Run 'stage push' again: it starts from the chain as it is now.",
        skip="the runs are pushed, the chain stays as it is",
    ),
    "chain-head-not-ours": Kind(
        "Put the run in front and take none out of the chain: 'stage push --on-conflict chain-head-not-ours=skip'.",
        skip="the run is put in front, and the chain keeps what it had",
    ),
    "input-gone": Kind(
        "Push without it all the same, provenance keeps the ids: 'stage push --on-conflict input-gone=skip'.",
        skip=_PROVENANCE,
    ),
    "input-replaced": Kind(
        "Push all the same, provenance keeps the ids of those that were used: "
        "'stage push --on-conflict input-replaced=skip'; or make ours from what is there now: 'stage run --new-run'.",
        skip=_PROVENANCE,
    ),
    "input-not-pushed": Kind(
        "To leave provenance as it is: 'stage push --on-conflict input-not-pushed=skip'.",
        skip=_PROVENANCE,
    ),
}
"""Code to kind."""

STRICT = frozenset({"input-gone", "input-replaced", "input-not-pushed"})
"""Those that stop a push only with ``--strict-inputs``, and that ``all`` does not mean therefore."""

HINTS = {code: kind.hint for code, kind in KINDS.items()}
"""The way on from each kind of conflict."""
