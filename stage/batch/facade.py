"""`Batch`: submissions. Each subcommand of ``stage batch`` is one method with the same keyword names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Unpack

from stage.batch.submission.options import SubmitOptions

if TYPE_CHECKING:
    import os

    from stage.batch.config.explaining import Explained
    from stage.batch.reporting.acting import RestartReport
    from stage.batch.reporting.report import BatchReport, RunSummary
    from stage.batch.reporting.services import PingAnswer
    from stage.batch.reporting.watching import WatchEvent
    from stage.batch.submission.report import SubmitReport

__all__ = ["Batch"]


class Batch:
    """Submissions of a campaign, and all of this user's.

    Parameters
    ----------
    campaign_dir : str or path, optional
        The campaign that submissions are of; by default ``$STAGE_CAMPAIGN_DIR``, the working directory, and then one
        that is called as the file says, which is made if need be.
    """

    def __init__(self, campaign_dir: str | os.PathLike[str] | None = None) -> None:
        self._campaign_dir = campaign_dir

    # -- making a submission --------------------------------------------------------------------------------

    def acquire(self, file: str, *, dry_run: bool = False, **options: Unpack[SubmitOptions]) -> SubmitReport:
        """Build the graph and make a RUN ready to be written.

        Parameters
        ----------
        file : str
            The submission's YAML; or the directory of one that was begun, to do this stage again.
        dry_run : bool, optional
            Only say what would be made.
        **options
            See `SubmitOptions`; they count before the file.

        Returns
        -------
        SubmitReport
            How far it has come.

        Raises
        ------
        StageError
            If it cannot be made; the campaign is as it was, and so is what earlier stages made.
        """
        return self._to("acquire", file, dry_run, options)

    def cluster(self, file: str, *, dry_run: bool = False, **options: Unpack[SubmitOptions]) -> SubmitReport:
        """Say which quanta make a job together, after the stage before it if that is not done.

        Parameters
        ----------
        file, dry_run, **options
            As for `acquire`.

        Returns
        -------
        SubmitReport
            How far it has come.
        """
        return self._to("cluster", file, dry_run, options)

    def transform(
        self, file: str, *, dry_run: bool = False, **options: Unpack[SubmitOptions]
    ) -> SubmitReport:
        """Make the jobs, after the stages before it if these are not done.

        Parameters
        ----------
        file, dry_run, **options
            As for `acquire`.

        Returns
        -------
        SubmitReport
            How far it has come.
        """
        return self._to("transform", file, dry_run, options)

    def prepare(self, file: str, *, dry_run: bool = False, **options: Unpack[SubmitOptions]) -> SubmitReport:
        """Write what the engine needs, after the stages before it if these are not done.

        Parameters
        ----------
        file, dry_run, **options
            As for `acquire`.

        Returns
        -------
        SubmitReport
            How far it has come.
        """
        return self._to("prepare", file, dry_run, options)

    def submit(
        self,
        file: str,
        *,
        wait: bool = False,
        next_step: bool = False,
        print: bool = False,  # noqa: A002 - the option's name
        dry_run: bool = False,
        **options: Unpack[SubmitOptions],
    ) -> SubmitReport:
        """Make a submission and hand it over to its engine.

        Parameters
        ----------
        file : str
            The submission's YAML; or the directory of one that was begun: it goes on with the first stage that is not
            done.
        wait : bool, optional
            Stay until all has ended.
        next_step : bool, optional
            With the directory of the submission of a step: submit the step after it, if that one is done; what final jobs
            of pipelines with steps do.
        print : bool, optional
            Make nothing: return what would be submitted, file by file.
        dry_run : bool, optional
            Only say what would be made.
        **options
            See `SubmitOptions`; they count before the file.

        Returns
        -------
        SubmitReport
            With its number, and with `wait` what became of it.

        Raises
        ------
        ConflictError
            If it was handed over already.
        StageError
            If it cannot be made; the stages that were done stay.
        """
        from stage.batch.submission.making import submit_to

        return submit_to(
            "submit",
            file,
            self._campaign_dir,
            options,
            wait=wait,
            next_step=next_step,
            show=print,
            dry_run=dry_run or print,
        )

    def _to(self, stage: str, file: str, dry_run: bool, options: SubmitOptions) -> SubmitReport:
        from stage.batch.submission.making import submit_to

        return submit_to(stage, file, self._campaign_dir, options, dry_run=dry_run)

    def submitcmd(
        self,
        file: str,
        *,
        compute_site: str | None = None,
        wms_service_class: str | None = None,
        wait: bool = False,
        dry_run: bool = False,
    ) -> SubmitReport:
        """Run one script on a site, without a graph and without a campaign.

        Parameters
        ----------
        file : str
            YAML with a section ``customJob``: ``executable``, ``arguments``, ``inputs``, ``outputs``.
        compute_site, wms_service_class : str, optional
            Where, and by what.
        wait : bool, optional
            Stay until it has ended.
        dry_run : bool, optional
            Only say what would be made.

        Returns
        -------
        SubmitReport
            With its number.

        Raises
        ------
        UsageError
            If the section is missing or wrong.
        NotFoundError
            If the script or an input is not there.
        """
        from stage.batch.submission.script import submit_script

        given = {"computeSite": compute_site, "wmsServiceClass": wms_service_class}
        return submit_script(file, {k: v for k, v in given.items() if v}, wait=wait, dry_run=dry_run)

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
            If a setting cannot be changed.
        """
        from stage.batch.reporting.acting import restart_run

        return restart_run(
            id, memory=memory, retries=retries, settings=set, include_unlaunched=include_unlaunched, wait=wait
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
