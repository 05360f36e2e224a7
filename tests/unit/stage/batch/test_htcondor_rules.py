"""`stage.batch.engines.htcondor.expressions`, as HTCondor's own library evaluates them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stage.batch.engines.htcondor.expressions import policy_commands
from stage.batch.workflow.model import JobSettings

classad2 = pytest.importorskip("classad2", reason="needs HTCondor's library: pip install htcondor")
pytestmark = pytest.mark.service

MANY = 50


class Queue:
    """One job in a queue: its attributes change as HTCondor's manual says, the expressions are evaluated by its library.

    ``says`` is who notices that memory is wanting: "system" holds the job, "program" ends it with code 14, "kernel"
    kills it.
    """

    def __init__(self, settings: JobSettings, says: str) -> None:
        self.commands = policy_commands(settings)
        self.says = says
        self.ad: dict[str, Any] = {"NumJobStarts": 0, "JobStatus": 1}

    def value(self, command: str) -> Any:
        """Return what an expression of a command is just now."""
        text = self.commands.get(command, "false")
        return classad2.ClassAd({**self.ad, "It": classad2.ExprTree(text)}).eval("It")

    def run(self, what: str) -> str:
        """Start it, end it that way, and return where that leaves it: idle, or how it left the queue."""
        self.ad |= {"NumJobStarts": self.ad["NumJobStarts"] + 1, "JobStatus": 2}
        if what == "oom" and self.says == "system":
            return self._hold(34, 0)
        how = {"ok": 0, "exit": 1, "oom": 14}[what]
        if what == "oom" and self.says == "kernel":
            self.ad |= {"ExitBySignal": True, "ExitSignal": 9}
        else:
            self.ad |= {"ExitBySignal": False, "ExitCode": how}
        if self.value("on_exit_hold") is True:
            return self._hold(3, int(self.commands["on_exit_hold_subcode"]))
        if self.value("on_exit_remove") is not True:
            # The vectors take the last hold for over when a job has ended by itself in between.
            for name in ("LastHoldReasonCode", "LastHoldReasonSubCode"):
                self.ad.pop(name, None)
            self.ad["JobStatus"] = 1
            return "idle"
        return "success" if what == "ok" else "failed" if what == "exit" else "removed"

    def _hold(self, code: int, sub: int) -> str:
        self.ad |= {"JobStatus": 5, "HoldReasonCode": code, "HoldReasonSubCode": sub}
        if self.value("periodic_remove") is True:
            return "removed"
        if self.value("periodic_release") is not True:
            return "held"
        del self.ad["HoldReasonCode"], self.ad["HoldReasonSubCode"]
        self.ad |= {"JobStatus": 1, "LastHoldReasonCode": code, "LastHoldReasonSubCode": sub}
        return "idle"


def history(settings: JobSettings, failures: Sequence[str] | None, says: str) -> tuple[list[int], str]:
    """Return what a job asked for, start by start, and how it left the queue."""
    queue, requests = Queue(settings, says), []

    def ends() -> Iterator[str]:
        yield from failures if failures is not None else ["oom"] * MANY
        yield from ["ok"] * MANY

    for what in ends():
        requests.append(int(queue.value("request_memory")))
        if (state := queue.run(what)) != "idle":
            return requests, state
    raise AssertionError(requests)


def settings_of(case: dict[str, Any]) -> JobSettings:
    """Return the job of a case; the cap is the site's limit where the job has none of its own."""
    job, top = case["expect"]["job"], case["top_level"]
    limits = [v for v in (job["request_memory_max"], top["memoryLimit"]) if v is not None]
    return JobSettings(
        "t",
        request_memory=job["request_memory"],
        request_memory_max=min(limits, default=None),
        memory_multiplier=job["memory_multiplier"],
        number_of_retries=job["number_of_retries"],
    )


@pytest.mark.parametrize("says", ["system", "program", "kernel"])
def test_requests_are_those_of_the_field(shared: Path, says: str) -> None:
    """Memory grows as the field's own plugin has it grow, start by start, whoever notices that it is wanting."""
    cases = json.loads((shared / "vectors/bps/memory.json").read_text())["cases"]
    scaled = [c for c in cases if c["expect"]["job"]["memory_multiplier"]]

    assert len(scaled) > 15
    for case in scaled:
        expected = case["expect"]["requests"], case["expect"]["end"]
        assert expected == history(settings_of(case), case["failures"], says), case["id"]


@pytest.mark.parametrize("says", ["system", "program", "kernel"])
def test_without_growth_a_death_is_a_failure_like_any_other(says: str) -> None:
    """Where memory does not grow, each retry has the same, and the job leaves the queue after the last."""
    settings = JobSettings("t", request_memory=2048, number_of_retries=2)

    assert ([2048] * 3, "removed") == history(settings, None, says)


def test_late_job_is_run_again_and_then_removed() -> None:
    """A job that HTCondor held for taking too long counts as one that failed."""
    queue = Queue(JobSettings("t", request_walltime=5, number_of_retries=1), "system")
    queue.ad["NumJobStarts"] = 1

    assert "idle" == queue._hold(47, 0)
    queue.ad["NumJobStarts"] = 2
    assert "removed" == queue._hold(47, 0)


def test_hold_of_another_kind_is_left_to_a_person() -> None:
    """A job that is held for anything else stays held."""
    queue = Queue(JobSettings("t", request_memory=10, memory_multiplier=2.0), "system")
    queue.ad["NumJobStarts"] = 1

    assert "held" == queue._hold(1, 0)
