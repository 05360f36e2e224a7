"""``--instrument``: the settings of one instrument in a campaign, from the option to the outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from registry.errors import PipelineError, UsageError
from stage.campaign.campaign import Campaign
from tests.integration.tiny_campaign import PIPELINE, call, make_upstream

INSTRUMENTS = (
    "instruments: {Cam: {clean: {config: {limit: 7}}}, Old: {clean: {config: {limit: 70}}}, Bare: {}}\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_upstream(tmp_path)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE + INSTRUMENTS)
    return tmp_path


def _campaign(folder: Path) -> Campaign:
    made = Campaign.init(
        str(folder / "upstream"), folder / "camp", pipeline=str(folder / "pipeline.yaml"), input=["net/raw"]
    )
    made.save()
    return made


def _limit(campaign: Campaign) -> tuple[object, str]:
    found = next(s for s in campaign.settings("clean")["clean"] if s.name == "limit")
    return found.value, found.origin


def _held(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (*root.glob("*.yaml"), root / ".campaign.json")}


def test_a_local_pipeline_names_the_instrument(folder: Path) -> None:
    """It imports the external one; its settings hold, another instrument's replace them, -c goes over both; again is nothing."""
    campaign = _campaign(folder)
    campaign.edit(instrument="Cam")
    local = folder / "camp" / "pipeline.yaml"

    assert yaml.safe_load(local.read_text())["instrument"] == "Cam"
    assert _limit(campaign)[0] == 7
    assert _limit(campaign)[1].endswith("pipeline.yaml, instrument 'Cam', task 'clean'")
    before = _held(folder / "camp")

    assert campaign.edit(instrument="Cam") == {}
    assert _held(folder / "camp") == before
    campaign.edit(instrument="Old")

    assert _limit(campaign)[0] == 70
    campaign.edit(config=["clean:limit=8"], instrument="Cam")

    assert _limit(campaign)[0] == 8


def test_an_external_pipeline_of_that_instrument_stays_external(folder: Path) -> None:
    """No local pipeline is made where the external one has the instrument already; another one makes it."""
    (folder / "pipeline.yaml").write_text(PIPELINE + INSTRUMENTS + "instrument: Cam\n")
    campaign = _campaign(folder)

    assert campaign.edit(instrument="Cam") == {}
    assert not (folder / "camp" / "pipeline.yaml").exists()
    campaign.edit(instrument="Old")

    assert (folder / "camp" / "pipeline.yaml").exists()
    assert _limit(campaign)[0] == 70


def test_an_unknown_instrument_changes_nothing(folder: Path) -> None:
    """The error offers the nearest; so does it where the pipeline has none, or there is no pipeline."""
    campaign = _campaign(folder)
    before = _held(folder / "camp")
    with pytest.raises(PipelineError, match="none for instrument 'Cas'") as caught:
        campaign.edit(instrument="Cas")

    assert (caught.value.code, "Cam" in caught.value.hint) == ("unknown-instrument", True)
    assert _held(folder / "camp") == before
    (folder / "pipeline.yaml").write_text(PIPELINE)
    with pytest.raises(PipelineError, match="no settings for any instrument"):
        campaign.edit(instrument="Cam")
    bare = Campaign.init(str(folder / "upstream"), folder / "bare")
    bare.save()
    with pytest.raises(UsageError, match="has no pipeline"):
        bare.edit(instrument="Cam")

    assert _held(folder / "camp") == before


def test_the_settings_of_no_instrument(folder: Path) -> None:
    """--no-instrument takes back what the option, or the pipeline itself, has said; again, and where none was named, is nothing."""
    camp = folder / "camp"
    campaign = _campaign(folder)

    assert campaign.edit(no_instrument=True) == {}
    assert not (camp / "pipeline.yaml").exists()
    campaign.edit(instrument="Cam")
    said = call("edit", "--no-instrument", cwd=camp).stdout

    assert "clean:limit: 7.0 -> 100.0" in said
    assert "as it was" in call("edit", "--no-instrument", cwd=camp).stdout
    (folder / "pipeline.yaml").write_text(PIPELINE + INSTRUMENTS + "instrument: Cam\n")

    assert _limit(campaign)[0] == 100.0
    external = Campaign.init(str(folder / "upstream"), folder / "ext", pipeline=str(folder / "pipeline.yaml"))
    external.save()

    assert _limit(external)[0] == 7
    external.edit(no_instrument=True)

    assert _limit(external)[0] == 100.0
    assert external.edit(no_instrument=True) == {}
    external.edit(instrument="Old")

    assert _limit(external)[0] == 70
    with pytest.raises(UsageError, match="contradict"):
        external.edit(instrument="Cam", no_instrument=True)


def test_no_instrument_mends_a_pipeline_with_an_unknown_one(folder: Path) -> None:
    """A pipeline that names an instrument which it has no settings for can be run with those of none."""
    campaign = _campaign(folder)
    campaign.edit(instrument="Cam")
    (folder / "pipeline.yaml").write_text(PIPELINE + INSTRUMENTS.replace("Cam:", "Cim:"))
    campaign.edit(no_instrument=True)

    assert _limit(campaign)[0] == 100.0


def test_a_written_pipeline_still_has_its_instruments(folder: Path) -> None:
    """--write-pipeline writes the settings of all instruments; the option goes on to choose among them."""
    campaign = _campaign(folder)
    campaign.edit(instrument="Cam", write_pipeline=str(folder / "camp" / "whole.yaml"))
    written = yaml.safe_load((folder / "camp" / "whole.yaml").read_text())

    assert (written["instrument"], written["instruments"]["Old"]) == (
        "Cam",
        {"clean": {"config": {"limit": 70}}},
    )
    assert not (folder / "camp" / "pipeline.yaml").exists()
    assert _limit(campaign)[0] == 7
    campaign.edit(instrument="Old")

    assert _limit(campaign)[0] == 70


def test_an_instrument_given_to_run_reaches_the_outputs(folder: Path) -> None:
    """The command runs with the instrument's settings; another makes the graph out of date; the graph file keeps them."""
    camp = folder / "camp"
    options = ("-p", "pipeline.yaml", "-i", "net/raw", "--instrument", "Cam")
    call("run", "-q", "-j0", "--repo", "upstream", "--campaign-dir", "camp", *options, cwd=folder)
    said = call("config", "show", "clean", "--origin", cwd=camp).stdout

    assert "clean:limit=7" in said
    assert "pipeline.yaml, instrument 'Cam', task 'clean'" in said
    refused = call("run", "-q", "-j0", "--new-run", "--instrument", "Old", cwd=camp, code=12)

    assert "clean:limit was 7.0, is 70.0" in refused.stderr
    call("edit", "--instrument", "Old", cwd=camp)
    call("run", "-q", "-j0", "--new-run", "--use-qg-configs", cwd=camp)
    call("run", "-q", "-j0", "--rebuild", cwd=camp)
