"""The kinds of things that a check finds: how grave each is, in words, with the way on."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["KINDS", "Kind", "Severity"]

Severity = Literal["error", "warning", "note"]


class Kind(NamedTuple):
    """One kind of finding.

    Parameters
    ----------
    severity : {"error", "warning", "note"}
        Something is lost or wrong; something is left over; to be known.
    what : str
        What is wrong.
    hint : str
        The way on.
    repair : str
        What a repair does about it; empty if nothing.
    """

    severity: Severity
    what: str
    hint: str
    repair: str = ""


_COPY = "Restore the database from a copy; 'stage repo export' of a sound copy and 'stage repo import' bring back what lacks."
_FILE = "Put the file back from a copy or make it again; or give it up: --repair --lost NAME (the dataset stays on record)."
_REPAIR = "--repair does it."
_ROWS = "Rows were changed behind the back of the software. Restore the database from a copy taken before."

KINDS: dict[str, Kind] = {
    # -- the whole
    "repo-file-damaged": Kind("error", "the file that names database and datastore cannot be read",
                              "Write it anew: three lines, format: 1, registry: …, datastore: …."),
    "schema-version": Kind("error", "it is of another version than this software reads",
                           "Bring it to this version: stage repo upgrade REPO; or use a newer stage."),
    "universe-damaged": Kind("error", "the universe that it stores is none", _COPY),
    "universe-differs": Kind("error", "staging and upstream have different universes", "Make a new campaign: stage clone."),
    "upstream-replaced": Kind("error", "upstream is not the repository that was cloned",
                              "Put the right repository back in its place, or clone this one: stage clone."),
    "upstream-unreachable": Kind("note", "upstream cannot be reached, and was not compared with",
                                 "Look at it when it can be reached: stage doctor."),
    "database-damaged": Kind("error", "the database does not hold together", _COPY),
    "table-damaged": Kind("error", "the server finds a table damaged",
                          "Keep a copy of the server's files, and look for the cause (its log, disk, memory). Then restore the database from a copy."),
    "index-damaged": Kind("error", "the server finds an index damaged, or not in agreement with its table",
                          "Whoever owns the table makes it anew: REINDEX INDEX CONCURRENTLY NAME; check again, and look for the cause."),
    "check-unfinished": Kind("warning", "nothing else was looked at: what is damaged gives any answer, or ends the server",
                             "Mend that first, then check again."),
    "pages-unchecked": Kind("note", "the server cannot be asked to check all its pages",
                            "Let its administrator run these statements in this database, then check again."),
    "checksum-failures": Kind("note", "the server has met pages of this database whose checksums are wrong",
                              "Its log names them. Once they are mended, 'SELECT pg_stat_reset()' there counts anew."),
    "hot-journal": Kind("error", "a writer was killed in the middle of a change, which nobody has taken back yet",
                        "Whoever may write takes it back by opening it: --repair, or the next push. Nothing else was checked.",
                        "takes the unfinished change back"),
    "table-missing": Kind("error", "a table is missing", _COPY),
    "table-extra": Kind("warning", "tables with rows that no dataset type needs",
                        "Look at what they hold; no command of stage has made them so."),
    "reference-missing": Kind("error", "rows refer to rows that are not there", _ROWS),
    # -- files
    "artifact-missing": Kind("error", "rows name files that are not there", _FILE),
    "artifact-size": Kind("error", "files do not have their recorded size", _FILE),
    "artifact-checksum": Kind("error", "files do not have their recorded checksum", _FILE),
    "artifact-unreadable": Kind("error", "files cannot be read", "See to rights and disk, then check again."),
    "artifact-unrecorded": Kind("error", "files of datasets that are on record, whose artifact records are gone",
                                "Nobody has noted that they should go: restore the database from a copy. 'stage repo prune REPO --orphans' would remove the files."),
    "path-escape": Kind("error", "rows name files outside the datastore's root as if they were inside", _ROWS),
    "outside-missing": Kind("error", "rows name files elsewhere that are not there",
                            "Whoever keeps them may have moved them. In a campaign: stage fetch, when upstream has them again."),
    "outside-size": Kind("error", "files elsewhere do not have their recorded size",
                         "Whoever keeps them has changed them. Ask, or check that repository: stage repo fsck REPO."),
    "outside-checksum": Kind("error", "files elsewhere do not have their recorded checksum",
                             "Whoever keeps them has changed them. Ask, or check that repository: stage repo fsck REPO."),
    "orphan-file": Kind("warning", "files that no row names", _REPAIR, "removes them"),
    "part-file": Kind("warning", "files that were being written when their writer died", _REPAIR, "removes them"),
    # -- rows
    "artifact-without-dataset": Kind("error", "artifact records of no dataset", _ROWS),
    "dataset-without-tag": Kind("error", "datasets that their RUN does not hold", _ROWS),
    "tag-without-dataset": Kind("error", "collections hold datasets that are not there", _ROWS),
    "tag-without-collection": Kind("error", "members of no collection, or of no dataset type", _ROWS),
    "tag-differs": Kind("error", "RUNs hold datasets of other RUNs, or under another type", _ROWS),
    "dataset-without-run": Kind("error", "datasets of no RUN, or of no dataset type", _ROWS),
    "data-id-without-record": Kind("error", "data IDs without their dimension records",
                                   "Put the records back: stage repo import REPO RECORDS."),
    "record-parent-missing": Kind("error", "dimension records that require or imply records which are not there",
                                  "Put the records back: stage repo import REPO RECORDS."),
    "overlap-differs": Kind("error", "what is noted of regions that overlap is not what they do", _REPAIR,
                            "notes anew what overlaps what"),
    "quantum-without-run": Kind("error", "quanta of no RUN", _ROWS),
    "provenance-without-quantum": Kind("error", "provenance of quanta that are not there", _ROWS),
    "output-missing": Kind("note", "quanta have made datasets that are no more, or were left out of a push",
                           "Deliberate if they were purged; 'stage run' makes those of a campaign again."),
    "input-gone": Kind("note", "quanta have read datasets that are no more here",
                       "Nothing to do: provenance keeps what was read."),
    "chain-child-missing": Kind("error", "chains name collections that are not there",
                                "Say anew what the chain holds: stage repo chain REPO CHAIN CHILD…."),
    "chain-cycle": Kind("error", "chains lead to themselves", "Say anew what one of them holds: stage repo chain REPO CHAIN CHILD…."),
    "validity-overlaps": Kind("error", "calibrations of one data ID are valid at the same time, or never",
                              "Decertify one of them: stage repo decertify."),
    # -- notes of work
    "push-unfinished": Kind("warning", "a push was begun and its end is not known here",
                            "End it with 'stage push', or take it back with 'stage push --abort', as where its run was popped."),
    "pull-unfinished": Kind("warning", "a pull was begun and has not ended", "End it: stage pull."),
    "journal-ended": Kind("note", "notes of pushes that have ended, of RUNs that are no more", _REPAIR, "forgets them"),
    "journal-damaged": Kind("error", "what was noted of pushes cannot be read", _COPY),
    "ledger-run-missing": Kind("note", "the ledger names RUNs that are not there (any more)",
                               "Deliberate if its keeper removed them; the ledger tells what was pushed, not what stayed."),
    # -- a campaign
    "state-damaged": Kind("error", "the campaign's state cannot be read",
                          "Put .campaign.json right as the message says, or restore it from a copy."),
    "staging-lost": Kind("error", "the staging registry is gone", "Put it back from a copy, or begin anew: stage clone."),
    "graph-missing": Kind("error", "the state names a graph that is not there", "Build it again: stage build."),
    "graph-damaged": Kind("error", "a graph file is damaged", "Build it again: stage build; of a run that has begun, restore it from a copy."),
    "graph-foreign": Kind("error", "a graph is of another run or another universe", "Put the right one in its place from a copy."),
    "record-damaged": Kind("error", "records of jobs are damaged", "Run their jobs again: stage exec … --record FILE."),
    "record-foreign": Kind("error", "records of jobs lie with another run's", "Move them to their own run's directory."),
    "change-unfinished": Kind("warning", "a command was killed in the middle of a change of the campaign",
                              "The next command that changes the campaign takes it back; so does --repair.",
                              "takes the unfinished change back"),
    "dead-lock": Kind("note", "the lock file still names a command that has ended",
                      "The next command that takes the lock heals it; so does --repair.", "clears it"),
}  # fmt: skip
