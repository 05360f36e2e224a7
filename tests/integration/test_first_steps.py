"""What somebody meets who has only help and error messages to go by."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.tiny_campaign import call, make_upstream, write_sources


def test_an_upstream_without_dataset_types_says_how_to_get_some(tmp_path: Path) -> None:
    """Whoever builds on a repository that is only just made hears by which commands it gets dataset types."""
    write_sources(tmp_path)
    call("repo", "create", "up", "--universe", "universe.yaml", cwd=tmp_path)
    call("repo", "register-collection", "up", "net/raw", "--type", "RUN", cwd=tmp_path)
    told = call("clone", "up", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=tmp_path, code=10).stderr

    assert "dataset type 'reading', which clean reads, is not registered" in told
    assert "It has no dataset types yet: 'stage repo register-dataset-type'" in told
    assert not (tmp_path / "camp").exists()


def test_hints_ask_the_repository_that_was_asked(tmp_path: Path) -> None:
    """What is not in a repository that was named with --repo is to be listed there, not in a campaign."""
    make_upstream(tmp_path)
    call("repo", "register-dataset-type", "upstream", "other", "Json", "station", cwd=tmp_path)
    for command in ("get", "why"):
        told = call(command, "other", "station=aar", "--repo", "upstream", cwd=tmp_path, code=10)
        assert f"stage query datasets other --repo {tmp_path / 'upstream'}" in told.stderr


@pytest.mark.parametrize(
    ("words", "way"), [("status -v", "stage -v status"), ("draw graph -q", "stage -q draw graph")]
)
def test_options_of_the_program_are_found(tmp_path: Path, words: str, way: str) -> None:
    """One that is given after the command is refused with the place where it stands."""
    assert f"It stands before the command: {way}" in call(*words.split(), cwd=tmp_path, code=2).stderr
