"""``quantumGraphGeneration.out``: every step, whatever a person sees of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cli.verbosity import set_verbosity, verbosity_kept
from stage.batch.submission.generation_log import generation_log


@pytest.mark.parametrize(("verbose", "quiet", "seen"), [(0, True, []), (1, False, ["step", "careful"])])
def test_it_has_every_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verbose: int, quiet: bool, seen: list[str]
) -> None:
    """What is told on the way is as before, and so are the loggers afterwards; a failure leaves no file."""
    logger = logging.getLogger("stage.campaign.building")
    with verbosity_kept():
        set_verbosity(verbose, quiet=quiet)
        with generation_log() as log:
            logger.info("step")
            logger.warning("careful")
            log.keep_as(tmp_path / "out")
        logger.debug("not any more")

    lines = (tmp_path / "out").read_text().splitlines()
    assert [line.split("Z ")[1] for line in lines] == ["step", "careful"]
    assert capsys.readouterr().err.split() == seen
    assert logging.getLogger("stage").level == logging.NOTSET
