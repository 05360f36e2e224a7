"""How settings of tasks are worded."""

from __future__ import annotations

from cli.config import setting_lines
from stage.pipeline.describe import SettingOrigin

LIMIT = SettingOrigin("limit", 4.5, 5.0, "pipeline.yaml")
NAME = SettingOrigin("sub.name", "", "", "default")


def test_settings_are_worded_as_they_are_typed() -> None:
    """In the form of -c; with where they come from, and what they would be, if that is asked for."""
    found = {"detect": [LIMIT, NAME]}

    assert ["detect:limit=4.5", 'detect:sub.name=""'] == list(setting_lines(found))
    assert ["detect:limit=4.5   (by default 5.0)   # pipeline.yaml"] == list(
        setting_lines({"detect": [LIMIT]}, origin=True, diff=True)
    )
    assert ["no setting is other than by default"] == list(setting_lines({"detect": []}, diff=True))
