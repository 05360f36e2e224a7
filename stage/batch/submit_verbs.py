"""The part of `stage.Batch` that makes submissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from stage.batch.submission.options import SubmitOptions

if TYPE_CHECKING:
    import os

    from stage.batch.submission.report import SubmitReport

__all__ = ["SubmitVerbs"]


class SubmitVerbs:
    """The stages of a submission, each a method.

    Parameters
    ----------
    campaign_dir : str or path, optional
        As for `stage.Batch`.
    """

    def __init__(self, campaign_dir: str | os.PathLike[str] | None = None) -> None:
        self._campaign_dir = campaign_dir

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
