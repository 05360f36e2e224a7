"""Where a campaign is found, and what its paths are."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import NotFoundError
from stage.campaign.files import allows_wal
from stage.campaign.layout import Layout, absolute_uri, find_campaign, local_directory


def test_option_then_variable_then_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign is found by option first, then by the environment, then where we are."""
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / ".campaign.json").touch()
    monkeypatch.chdir(tmp_path / "a")
    monkeypatch.delenv("STAGE_CAMPAIGN_DIR", raising=False)

    assert tmp_path / "a" == find_campaign()
    monkeypatch.setenv("STAGE_CAMPAIGN_DIR", str(tmp_path / "b"))

    assert tmp_path / "b" == find_campaign()
    assert tmp_path / "c" == find_campaign("../c")


def test_a_directory_without_state_is_no_campaign(tmp_path: Path) -> None:
    """The error names the directory and says how to make one."""
    with pytest.raises(NotFoundError, match=str(tmp_path)) as caught:
        find_campaign(tmp_path)

    assert "stage clone" in caught.value.hint


def test_a_file_uri_is_local() -> None:
    """``file://`` names a local directory, its escapes decoded."""
    assert Path("/data/my dir") == local_directory("file:///data/my%20dir")
    assert Path("/data/my dir") == local_directory(Path("file:///data/my%20dir"))


def test_paths_below_the_campaign_are_stored_relative(tmp_path: Path) -> None:
    """What lies in the campaign is stored relative to it, and comes back absolute; the selection stays."""
    layout = Layout(tmp_path)

    assert layout.relative(f"{tmp_path}/pipeline.yaml#a,b") == "pipeline.yaml#a,b"
    assert f"{tmp_path}/pipeline.yaml#a,b" == layout.resolve("pipeline.yaml#a,b")
    assert layout.relative("/elsewhere/p.yaml") == "/elsewhere/p.yaml"
    assert layout.resolve("s3://b/p.yaml") == "s3://b/p.yaml"


def test_an_absolute_uri_keeps_its_selection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path becomes absolute; what has a scheme stays."""
    monkeypatch.chdir(tmp_path)

    assert f"{tmp_path}/p.yaml#x" == absolute_uri("p.yaml#x")
    assert absolute_uri("s3://b/p.yaml#x") == "s3://b/p.yaml#x"


def test_the_write_ahead_log_is_not_used_on_network_file_systems(tmp_path: Path) -> None:
    """The deepest mount that holds the directory decides."""
    mounts = tmp_path / "mounts"
    (tmp_path / "with space" / "deep").mkdir(parents=True)
    escaped = str(tmp_path / "with space").replace(" ", "\\040")
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {escaped} nfs4 rw 0 0\nbad\n")

    assert allows_wal(tmp_path, mounts)
    assert not allows_wal(tmp_path / "with space" / "deep", mounts)
    assert allows_wal(tmp_path, tmp_path / "no-such-table")


def test_a_campaign_at_a_uri_has_a_directory_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same however the URI is written, also as a path, which has lost a stroke; its files go to the URI."""
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path))
    found = {local_directory(uri) for uri in ("memory://b/camp", "memory://b/camp/", Path("memory://b/camp"))}

    assert len(found) == 1
    (root,) = found
    assert (root.name, root.is_relative_to(tmp_path)) == ("camp", True)
    assert Layout(root).data_root == "memory://b/camp/data"
    assert not allows_wal(root)
