"""The command line as it stands in locks and in the history."""

from __future__ import annotations

import shlex

import pytest

from stage.campaign.command_line import command_line, command_text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["build", "-d", "station = 'aar'"], "stage build -d \"station = 'aar'\""),
        (["build", "-d", "x = '$HOME'"], "stage build -d 'x = '\"'\"'$HOME'\"'\"''"),
        (["run", "-j", "2"], "stage run -j 2"),
    ],
)
def test_a_command_can_be_typed_again(words: list[str], text: str) -> None:
    """What is written is what a shell takes apart into the same words, quoted as people quote expressions."""
    with command_line(words):
        assert text == command_text("x")
    assert shlex.split(text) == ["stage", *words]


def test_no_password_is_kept() -> None:
    """Passwords in URLs go neither into a lock nor into the history."""
    with command_line(["clone", "postgresql://me:secret@db/shared", "camp", "-d", "a@b:c"]):
        assert command_text("x") == "stage clone 'postgresql://me:***@db/shared' camp -d a@b:c"


def test_from_python_it_is_the_method() -> None:
    """Where there is no command line the method is named."""
    assert command_text("push") == "Campaign.push"
