"""What a run is to be: which RUN it writes, with which graph and tasks, and how its quanta are executed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.errors import UsageError
from stage.campaign.categories import check_category
from stage.campaign.drop_report import DropMode, drop_mode
from stage.campaign.graph_options import GraphOptions
from stage.campaign.scoping import ScopeOptions
from stage.execution.allowance import Allowance, check_resources
from stage.execution.debugger import check_debugger
from stage.execution.kept import DEFAULT_LIMIT
from stage.execution.settings import check_limits

__all__ = ["RunOptions", "StackOptions"]


@dataclass(frozen=True)
class StackOptions:
    """Which runs a new one takes the place of, and what becomes of these.

    Parameters
    ----------
    replace : bool, optional
        It takes the place of the current run, or else of the newest past one.
    restart : bool, optional
        It takes the place of all.
    unstore : bool, optional
        The files of runs that are dropped are removed.
    purge : bool, optional
        Runs that are dropped are removed altogether.
    """

    replace: bool = False
    restart: bool = False
    unstore: bool = False
    purge: bool = False

    @property
    def mode(self) -> DropMode:
        """What is done with runs that are dropped; a purge does more than an unstoring."""
        return drop_mode(unstore=self.unstore, purge=self.purge)

    def check(self) -> None:
        """Refuse to remove what is not dropped.

        Raises
        ------
        UsageError
            If something is to be done with dropped runs, and none can be dropped.
        """
        if self.mode and not (self.replace or self.restart):
            raise UsageError(
                f"--{self.mode} is about runs that are dropped, and this drops none",
                code="nothing-dropped",
                hint="Give --replace or --restart too, or leave it out.",
            )


@dataclass(frozen=True)
class RunOptions:
    """How a graph is to be run.

    Parameters
    ----------
    new_run : bool, optional
        Begin a new RUN even if there is a current one.
    continue_run : bool, optional
        Where there is no current RUN, go on with the newest past one.
    finish : bool, optional
        Whether the RUN ends when all quanta are done; by default it does.
    rebuild : bool, optional
        Build the graph again first.
    use_qg_configs : bool, optional
        Run the graph as it was built, whatever changed since.
    use_task_configs : bool, optional
        Run the graph's quanta with the tasks and settings of the pipeline.
    skip_existing_in : str, optional
        Category of collections: quanta whose outputs are all there are not executed.
    graph : GraphOptions, optional
        How the graph is to be built or refreshed.
    processes : int, optional
        Worker processes; 0 runs everything in this one.
    fail_fast : bool, optional
        Begin nothing more after the first failure.
    timeout : float, optional
        Longest time for one quantum, in seconds.
    retries : int, optional
        How often a quantum that failed is tried again; by default never, or 5 times where memory grows.
    log_limit : int, optional
        Bytes that are kept of the log of each quantum.
    on_progress : callable, optional
        Called with each `stage.execution.progress.ProgressEvent`.
    stack : StackOptions, optional
        What becomes of the runs that there are.
    allowance : Allowance, optional
        How much memory quanta may have; None where none is executed here.
    wrap : str, optional
        Command in which workers are started.
    pdb : bool, optional
        Open a debugger at the first failure.
    ephemeral, keep : sequence of str, optional
        Dataset types that are ephemeral besides those of which the pipeline says so, and those that are not; patterns
        allowed.
    scope : ScopeOptions, optional
        What of it is executed now.
    command : {"run", "prep"}, optional
        What is being done, for what is said of other ways to do it.
    """

    new_run: bool = False
    continue_run: bool = False
    finish: bool | None = None
    rebuild: bool = False
    use_qg_configs: bool = False
    use_task_configs: bool = False
    skip_existing_in: str = ""
    graph: GraphOptions = field(default_factory=GraphOptions)
    processes: int = 1
    fail_fast: bool = False
    timeout: float | None = None
    retries: int | None = None
    log_limit: int = DEFAULT_LIMIT
    on_progress: Callable[[Any], None] | None = None
    stack: StackOptions = field(default_factory=StackOptions)
    allowance: Allowance | None = None
    wrap: str = ""
    pdb: bool = False
    ephemeral: Sequence[str] = ()
    keep: Sequence[str] = ()
    scope: ScopeOptions = field(default_factory=ScopeOptions)
    command: str = "run"

    @property
    def workers(self) -> int:
        """Number of worker processes; a debugger needs all in this one."""
        return 0 if self.pdb else self.processes

    def check_execution(self) -> None:
        """Refuse ways of executing quanta that make no sense here.

        Raises
        ------
        UsageError
            If a limit makes no sense or cannot be kept, or there is nobody who could use a debugger.
        """
        if self.pdb:
            check_debugger(self.processes)
        allowance = self.allowance or Allowance()
        check_limits(self.workers, self.timeout, allowance.retries(self.retries))
        check_resources(self.workers, allowance, self.wrap)

    def check(self, *, has_graph: bool) -> None:
        """Refuse options that do not go together.

        Parameters
        ----------
        has_graph : bool
            Whether there is a graph already; else one is built.

        Raises
        ------
        UsageError
            If two say differently what to do with a graph, or one needs another.
        """
        ways = {
            "--rebuild": self.rebuild,
            "--refresh": self.graph.refresh,
            "--use-qg-configs": self.use_qg_configs,
            "--use-task-configs": self.use_task_configs,
        }
        given = [name for name, is_given in ways.items() if is_given]
        if len(given) > 1:
            raise UsageError(
                f"{given[0]} and {given[1]} contradict each other",
                code="contradicting-options",
                hint="Give one of them.",
            )
        builds = self.rebuild or not has_graph
        self.graph.checked(builds=builds, why="--refresh or --rebuild")
        if self.graph.extend_qg and not builds:
            raise UsageError(
                "--extend-qg is about a graph that is built, so it needs --rebuild",
                code="needs-rebuild",
                hint="Give --rebuild too, or leave --extend-qg out.",
            )
        check_category(self.skip_existing_in)
