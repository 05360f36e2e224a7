"""Job scripts: one for each kind of jobs, the same for all its arrays; which job an element is stands in a list."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

__all__ = ["FINAL_WORD", "LIST_GONE", "job_script", "quoted"]

LIST_GONE = 75
"""How an element ends whose list is not there: it was given up before Slurm took it."""
FINAL_WORD = "ended"
"""Directory beside a list: what elements leave when they end, for when Slurm has forgotten them."""

_BODY = f"""
# What to run stands in the list that this is called with: index, job, attempt, log and command on each line.
list=$1
index=$SLURM_ARRAY_TASK_ID
start=${{SLURM_RESTART_COUNT:-0}}
for wait in 1 2 3 0; do
    line=$(grep -m 1 "^$index"$'\\t' "$list/jobs" 2>/dev/null) && break
    sleep $wait  # a shared file system may be a little late
done
if [ -z "$line" ]; then
    echo "element $index: there is no such line in $list/jobs"
    exit {LIST_GONE}
fi
IFS=$'\\t' read -r index job attempt log command <<< "$line"

trap : TERM INT  # the job itself gets them too, and this outlives it to say how it ended
eval "$command" >> "$log" 2>&1 < /dev/null
code=$?
word=$list/{FINAL_WORD}/$index.$start
printf '%s\\n' "$code $SLURM_JOB_ID ${{SLURMD_NODENAME:-$HOSTNAME}}" > "$word.new" && mv "$word.new" "$word"
exit $code
"""


def job_script(options: Sequence[str], setup: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the text of a job script.

    Parameters
    ----------
    options : sequence of str
        Of ``sbatch``.
    setup : sequence of str
        Lines of shell that come first.
    environment : mapping of str to str
        Variables that are set.

    Returns
    -------
    str
        The same for the same.
    """
    lines = ["#!/bin/bash", *(f"#SBATCH {quoted(option)}" for option in options), "", *setup]
    lines += [f"export {name}={quoted(value)}" for name, value in environment.items()]
    return "\n".join(lines) + _BODY


def quoted(text: str) -> str:
    """Return a word of shell that is on one line, whatever is in it.

    Parameters
    ----------
    text : str
        What it stands for.

    Returns
    -------
    str
        Quoted where need be.
    """
    if text.isprintable():
        return shlex.quote(text)
    escapes = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", "'": "\\'"}
    return "$'" + "".join(escapes.get(c, c) for c in text) + "'"
