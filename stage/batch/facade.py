"""`Batch`: submissions. Each subcommand of ``stage batch`` is one method with the same keyword names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stage.batch.submit_verbs import SubmitVerbs

if TYPE_CHECKING:
    from stage.batch.config.explaining import Explained
    from stage.batch.reporting.acting import RestartReport
    from stage.batch.reporting.report import BatchReport, RunSummary
    from stage.batch.reporting.services import PingAnswer
    from stage.batch.reporting.watching import WatchEvent

__all__ = ["Batch"]


class Batch(SubmitVerbs):
    """Submissions of a campaign, and all of this user's.

    Parameters
    ----------
    campaign_dir : str or path, optional
        The campaign that submissions are of; by default that of ``$STAGE_CAMPAIGN_DIR``. If there is none, it is made there.
        Without either it is that of the working directory, and then one that is called as the file says, which is made if
        need be.
    """

    # -- what becomes of it ---------------------------------------------------------------------------------

    def report(
        self,
        *,
        id: str = "",  # noqa: A002 - the option's name
        user: str = "",
        hist: float = 0.0,
        logs: bool = False,
    ) -> BatchReport:
        """Say where submissions are.

        Parameters
        ----------
        id : str, optional
            One of them, in detail: its number, its run's name, or its directory.
        user : str, optional
            Only those of this user.
        hist : float, optional
            Also those that were submitted in so many days and have ended.
        logs : bool, optional
            With `id`: also the end of what jobs that failed printed.

        Returns
        -------
        BatchReport
            The oldest first.

        Raises
        ------
        NotFoundError
            If there is none of that `id`.
        """
        from stage.batch.reporting.looking import report_runs

        return report_runs(id, user=user, hist=hist, logs=logs)

    def status(self, *, id: str) -> RunSummary:  # noqa: A002 - the option's name
        """Say where one submission is.

        Parameters
        ----------
        id : str
            Which, as for `report`.

        Returns
        -------
        RunSummary
            With its state.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        from stage.batch.reporting.looking import summary_of
        from stage.batch.submission.index import find_entry

        return summary_of(find_entry(id))

    def cancel(
        self,
        *,
        id: str = "",  # noqa: A002 - the option's name
        user: str = "",
        skip_require_bps: bool = False,
    ) -> Sequence[RunSummary]:
        """End all jobs of submissions.

        Parameters
        ----------
        id : str, optional
            Which, as for `report`.
        user : str, optional
            All of this user's.
        skip_require_bps : bool, optional
            Also one that another user has submitted.

        Returns
        -------
        sequence of RunSummary
            Those that were told to end, as they were before.

        Raises
        ------
        NotFoundError
            If there is none that could be ended.
        ConflictError
            If it is not this user's.
        """
        from stage.batch.reporting.acting import cancel_runs

        return cancel_runs(id, user=user, anybodys=skip_require_bps)

    def restart(
        self,
        *,
        id: str,  # noqa: A002 - the option's name
        memory: int | None = None,
        retries: int | None = None,
        set: Sequence[str] = (),  # noqa: A002 - the option's name
        include_unlaunched: bool = True,
        compute_site: str | None = None,
        wms_service_class: str | None = None,
        abandon: bool = False,
        wait: bool = False,
    ) -> RestartReport:
        """Begin again what has not succeeded; what is complete is not run again.

        Parameters
        ----------
        id : str
            Which, as for `report`.
        memory : int, optional
            What jobs ask for from now on, in megabytes.
        retries : int, optional
            How often a job is tried again from now on.
        set : sequence of str, optional
            ``KEY=VALUE`` or ``LABEL:KEY=VALUE``: other settings of jobs, by their names in the file.
        include_unlaunched : bool, optional
            Whether jobs that were never begun are begun too.
        compute_site, wms_service_class : str, optional
            Where it goes on, and what runs it there: what has not succeeded, by a section ``site`` of its ``config.yaml``.
            Jobs that are still with the engine it was given to are ended first.
        abandon : bool, optional
            Go on elsewhere also if these cannot be ended; what they record is not merged.
        wait : bool, optional
            Stay until all has ended.

        Returns
        -------
        RestartReport
            How many begin again.

        Raises
        ------
        BusyError
            If it is going on.
        UsageError
            If a setting cannot be changed, or it cannot go there.
        StorageError
            If the new site does not answer, or the old one does not end what it has.
        """
        from stage.batch.reporting.acting import restart_run

        return restart_run(
            id,
            memory=memory,
            retries=retries,
            settings=set,
            include_unlaunched=include_unlaunched,
            compute_site=compute_site or "",
            wms_service_class=wms_service_class or "",
            abandon=abandon,
            wait=wait,
        )

    def watch(
        self,
        *,
        once: bool = False,
        interval: float = 60.0,
        on_event: Callable[[WatchEvent], object] | None = None,
    ) -> Sequence[WatchEvent]:
        """Keep this user's submissions going: where the head is gone, start another one.

        Parameters
        ----------
        once : bool, optional
            Look once, and return; otherwise until somebody interrupts it.
        interval : float, optional
            Seconds between two looks.
        on_event : callable, optional
            Called with what was done, and what has ended, as it happens.

        Returns
        -------
        sequence of WatchEvent
            What was done in the only look.
        """
        from stage.batch.reporting.watching import watch

        return watch(once=once, interval_s=interval, on_event=on_event)

    # -- services and settings ------------------------------------------------------------------------------

    def ping(
        self, file: str = "", *, compute_site: str | None = None, wms_service_class: str | None = None
    ) -> PingAnswer:
        """Ask whether the services that an engine needs answer.

        Parameters
        ----------
        file : str, optional
            YAML that says the site and the engine.
        compute_site, wms_service_class : str, optional
            These, before what the file says.

        Returns
        -------
        PingAnswer
            What answers.

        Raises
        ------
        StorageError
            If one does not.
        """
        from stage.batch.reporting.services import ping_engine

        return ping_engine(file, compute_site, wms_service_class)

    def config(self, file: str, *keys: str, compute_site: str | None = None) -> Sequence[Explained]:
        """Return the settings of a submission as they count.

        Parameters
        ----------
        file : str
            The YAML, or the directory of a submission.
        *keys : str
            Which; all by default.
        compute_site : str, optional
            Which site's.

        Returns
        -------
        sequence of Explained
            Each with where it comes from.

        Raises
        ------
        NotFoundError
            If a key is in none of the files.
        """
        from stage.batch.reporting.services import config_values

        return config_values(file, keys, compute_site)
