"""The stack of runs beside a model of it: any sequence of commands has the same stack, chain, names and datasets."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from registry.errors import StageError
from stage.campaign.campaign import Campaign
from sync.repo import Repo
from tests.integration.tiny_campaign import call, make_upstream

LONG = os.environ.get("STAGE_FAULTS") == "long"
EXAMPLES, STEPS = (150, 40) if LONG else (6, 20)


@dataclass
class Model:
    """What a campaign should hold: a page of rules instead of the code."""

    past: list[str] = field(default_factory=list)
    current: str | None = None
    counter: int = 0
    chain: str | None = "camp"
    chains: set[str] = field(default_factory=set)  # in staging
    created: set[str] = field(default_factory=set)
    done: dict[str, bool] = field(default_factory=dict)  # RUNs in staging: whether their quanta were executed
    unstored: set[str] = field(default_factory=set)
    stay: set[str] = field(default_factory=set)  # runs that are not moved to the past by themselves
    graph: int = 0
    reads: tuple[str, ...] = ()  # past runs from which the graph was built
    begun_with: dict[str, int] = field(default_factory=dict)

    @property
    def runs(self) -> list[str]:
        """The stack without its inputs."""
        return [*([self.current] if self.current else []), *self.past]

    def begin(self, way: str, mode: str, *, finish: bool | None) -> str:
        """Choose the run; return the code of what is refused."""
        if mode and way not in ("replace", "restart"):
            return "nothing-dropped"
        if (way == "replace" and not self.runs) or (way == "continue_run" and not self.runs):
            return "no-run"
        left = {"replace": self.runs[1:], "restart": []}.get(way, self.runs)
        dropped = [r for r in self.runs if r not in left]
        if mode and set(dropped) & set(self.reads):
            return "graph-reads-dropped"
        was = self.current
        if way == "continue_run" or (self.current and not way):
            run = left[0]
            if self.begun_with[run] != self.graph:
                return "run-graph-differs"
            self.past = left[1:]
        else:
            taken = {*self.created, *self.done, *self.chains, self.chain}
            while (run := f"camp/r{self.counter}") in taken:
                self.counter += 1
            self.counter += 1
            self.past, self.done[run], self.begun_with[run] = left, False, self.graph
            self.created.add(run)
        self.current = run
        if self.chain:
            self.chains.add(self.chain)
            self.created.add(self.chain)
        if finish is False:
            self.stay.add(run)
        elif was != run:
            self.stay.discard(run)
        self.remove(dropped, mode)
        return ""

    def execute(self, finish: bool | None) -> None:
        """Execute the current run."""
        assert self.current
        self.done[self.current] = True
        if finish or (finish is None and self.current not in self.stay):
            self.past, self.current = self.runs, None

    def pop(self, n: int, mode: str) -> str:
        """Drop from the top."""
        if n > len(self.past) or not (self.current or n):
            return "no-run"
        dropped = [*([self.current] if self.current else []), *self.past[:n]]
        self.current, self.past = None, self.past[n:]
        self.remove(dropped, mode)
        return ""

    def remove(self, runs: list[str], mode: str) -> None:
        """Take files away, or all."""
        if mode == "unstore":
            self.unstored |= set(runs)
        if mode == "purge":
            self.done = {r: v for r, v in self.done.items() if r not in runs}
            self.created -= set(runs)
            self.unstored -= set(runs)  # the name may come again, after --set-counter

    def clean(self, *, purge: bool) -> None:
        """Remove what was made and is used no more."""
        self.remove([r for r in self.done if r not in self.runs], "purge" if purge else "unstore")
        gone = {c for c in self.chains if c != self.chain}
        self.chains -= gone
        self.created -= gone


@cache
def _template() -> tuple[Path, int, int]:
    """Make a campaign with a graph of one quantum; count the datasets of a run that is prepared, and of one that is done."""
    folder = Path(tempfile.mkdtemp(prefix="run-stack-"))
    make_upstream(folder)
    (folder / "one.yaml").write_text("description: One task.\ntasks:\n  clean: weather_tasks.clean\n")
    call(
        "clone", "upstream", "camp", "-p", "one.yaml", "-i", "net/raw", "--next-run", "%c/r%n",
        "-d", "station = 'aar' AND month = 202601", cwd=folder,
    )  # fmt: skip
    first = Campaign.load(folder / "camp")
    run = first.prep()
    prepared = _held(folder / "camp")[0][run][0]
    for _ in range(2):
        first.run(processes=0, finish=True)
    return folder, prepared, _held(folder / "camp")[0][run][0]


def _held(root: Path) -> tuple[dict[str, tuple[int, int]], dict[str, list[str]]]:
    """Return the RUNs of a campaign with the numbers of their datasets and files, and its chains."""
    with (
        Repo.attach(f"sqlite:///{root}/staging.sqlite3", root / "data") as staging,
        staging.registry.read() as snapshot,
    ):
        found = {c.name: list(c.children) for c in snapshot.collections()}
        names = [name for name in found if name.startswith("camp/")]
        counts = dict.fromkeys(names, 0)
        for _, run, n in snapshot.count_datasets(names).rows() if names else ():
            counts[run] += int(n)
    runs = {r: (n, sum(p.is_file() for p in (root / "data" / r).rglob("*"))) for r, n in counts.items()}
    return runs, {name: found[name] for name in ("camp", "other") if name in found}


ways = st.sampled_from(["", "", "new_run", "continue_run", "replace", "restart"])
modes = st.sampled_from(["", "", "unstore", "purge"])
finishes = st.sampled_from([None, None, True, False])


class _Machine(RuleBasedStateMachine):
    """Commands for a campaign, and for the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder, self.prepared, self.whole = _template()
        self.home = Path(tempfile.mkdtemp(prefix="run-stack-"))
        self.root = Path(shutil.copytree(self.folder / "camp", self.home / "camp"))
        self.model, self.held = Model(), _held(self.root)
        for _ in range(2):
            self.model.begin("", "", finish=True)
            self.model.execute(True)

    def teardown(self) -> None:
        shutil.rmtree(self.home)

    def command(self, expected: str, name: str, *words: Any, **options: Any) -> None:
        """Call a method of the campaign, and compare what it refuses; then nothing has changed."""
        before = (self.root / ".campaign.json").read_bytes(), self.held
        code = ""
        try:
            getattr(Campaign.load(self.root), name)(*words, **options)
        except StageError as error:
            code = error.code
            assert ((self.root / ".campaign.json").read_bytes(), _held(self.root)) == before

        assert code == expected

    def options(self, way: str, mode: str) -> dict[str, bool]:
        """Return keywords for a way to begin a run."""
        return {"use_qg_configs": True} | {name: True for name in (way, mode) if name}

    @rule(way=ways, mode=modes)
    def prep(self, way: str, mode: str) -> None:
        """Make a run ready."""
        mode = mode if way in ("replace", "restart") or mode == "purge" else ""
        self.command(self.model.begin(way, mode, finish=False), "prep", **self.options(way, mode))

    @rule(way=ways, mode=modes, finish=finishes)
    def run(self, way: str, mode: str, finish: bool | None) -> None:
        """Run the graph."""
        mode = mode if way in ("replace", "restart") or mode == "purge" else ""
        refused = self.model.begin(way, mode, finish=finish)
        if not refused:
            self.model.execute(finish)
        self.command(refused, "run", processes=0, finish=finish, **self.options(way, mode))

    @precondition(lambda self: self.model.runs)
    @rule(n=st.sampled_from([0, 1, 1, 2]), mode=modes)
    def pop(self, n: int, mode: str) -> None:
        """Drop runs."""
        self.command(self.model.pop(n, mode), "pop", n, **({mode: True} if mode else {}))

    @precondition(lambda self: {*self.model.done} > {*self.model.runs} or len(self.model.chains) > 1)
    @rule(purge=st.booleans())
    def clean(self, purge: bool) -> None:
        """Remove what is left of dropped ones."""
        self.model.clean(purge=purge)
        self.command("", "clean", purge=purge)

    @rule(chain=st.sampled_from(["camp", "other", None]), counter=st.sampled_from([None, 0, 3]))
    def edit(self, chain: str | None, counter: int | None) -> None:
        """Change names."""
        self.model = replace(
            self.model, chain=chain, counter=self.model.counter if counter is None else counter
        )
        edits: dict[str, Any] = {"chain": chain} if chain else {"no_chain": True}
        self.command("", "edit", **edits, **({} if counter is None else {"set_counter": counter}))

    @precondition(lambda self: self.model.graph in self.model.begun_with.values())
    @rule()
    def build(self) -> None:
        """Build the graph again, from the past runs too."""
        self.model.graph += 1
        self.model.reads = tuple(self.model.past)
        self.command("", "build", offline=True)

    @invariant()
    def is_as_the_model(self) -> None:
        """Stack, counter, names, chain and datasets are those of the model."""
        model, c = self.model, json.loads((self.root / ".campaign.json").read_text())["collections"]
        stack = [*model.runs, "net/raw"]

        assert (model.current, model.past, model.counter) == (c["current_run"], c["past_runs"], c["counter"])
        assert model.created == set(c["created"])
        assert len(c["created"]) == len(model.created)
        expected = {
            run: (n := self.whole if done else self.prepared, 0 if run in model.unstored else n)
            for run, done in model.done.items()
        }

        self.held = runs, chains = _held(self.root)

        assert expected == runs
        assert model.chains == set(chains)
        assert model.chain not in chains or chains[str(model.chain)] == stack


def test_commands_of_the_stack_do_what_the_model_says() -> None:
    """Prep, run, pop, clean, edit and build in any order: stack, chain, counter, names and datasets are as they should."""
    run_state_machine_as_test(
        _Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not LONG,
            phases=(Phase.generate, Phase.shrink) if LONG else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
