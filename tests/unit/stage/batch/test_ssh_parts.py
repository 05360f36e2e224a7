"""The parts of the engine of far machines that need none: options, frames, the command line, what an agent makes of it."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import UsageError
from stage.batch.engines.base import Cause, DrivenEngine, EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.ssh.agent_mail import History, Mail
from stage.batch.engines.ssh.agent_work import Work
from stage.batch.engines.ssh.frames import CHUNK, Frames, FramesError
from stage.batch.engines.ssh.options import SshOptions
from stage.batch.engines.ssh.reaching import NEEDS, SENT, ssh_command
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import Workflow
from tests.ssh_world import need_sshd

REPO = Path(__file__).parents[4]


def test_options_are_read_as_they_are_written() -> None:
    """Each key of the section is an attribute; what is not there has its default."""
    section = {
        "host": "me@login.example.org",
        "port": "2222",
        "identityFile": "/keys/one",
        "options": ["ProxyJump=gate.example.org"],
        "command": "/opt/ssh",
        "connectTimeout": 5,
        "baseDir": "~/far",
        "python": "~/env/bin/python",
        "setup": "module load slurm\nmodule load gcc\n",
        "send": ["tables/zero.csv"],
        "inputs": "all",
        "streams": 3,
        "keep": True,
    }
    found = SshOptions.from_section(section)
    assert SshOptions("me@login.example.org", 2222, "/keys/one", ("ProxyJump=gate.example.org",), "/opt/ssh", 5.0,
                      "~/far", "~/env/bin/python", ("module load slurm", "module load gcc"), ("tables/zero.csv",),
                      "all", 3, True) == found  # fmt: skip
    assert SshOptions("far") == SshOptions.from_section({"host": "far", "port": None})


def test_the_short_form_is_host_and_key() -> None:
    """As the field has it: user@host:key; the key's home directory is found."""
    key = str(Path("~/.ssh/id_ed25519").expanduser())
    short = SshOptions.from_section("me@login.example.org:~/.ssh/id_ed25519")
    assert SshOptions("me@login.example.org", identity_file=key) == short
    assert SshOptions("far") == SshOptions.from_section("far")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"host": "far", "prot": 22}, "port"),
        ({}, "host"),
        ("", "host"),
        ({"host": "-oProxyCommand=evil"}, "-oProxyCommand"),
        ({"host": "far", "port": 0}, "ssh.port"),
        ({"host": "far", "port": 22.5}, "ssh.port"),
        ({"host": "far", "streams": "many"}, "ssh.streams"),
        ({"host": "far", "inputs": "none"}, "local or all"),
        ({"host": "far", "keep": "perhaps"}, "ssh.keep"),
        ({"host": "far", "baseDir": "here"}, "ssh.baseDir"),
        ({"host": "far", "setup": {"a": 1}}, "ssh.setup"),
        ({"host": "far", "connectTimeout": -1}, "ssh.connectTimeout"),
        ({"host": ["far"]}, "ssh.host"),
        ({"host": "far", "python": ""}, "ssh.python"),
        (["far"], "ssh"),
    ],
)
def test_a_wrong_option_is_named(section: Any, said: str) -> None:
    """What is no key, or no value of one, is told with what is near."""
    with pytest.raises(UsageError) as caught:
        SshOptions.from_section(section)
    assert "bad-site" == caught.value.code
    assert said in f"{caught.value} {caught.value.hint}"


def test_what_a_far_python_needs_is_what_is_installed_with_us() -> None:
    """The packages that it is asked for are those that our own package requires, no more and no fewer."""
    declared = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["dependencies"]
    assert sorted(re.match(r"[\w.-]+", line)[0] for line in declared) == sorted(NEEDS.values())  # type: ignore[index]


@settings(max_examples=40)
@given(st.lists(st.one_of(st.dictionaries(st.text(), st.text()), st.binary(max_size=3000)), max_size=20))
def test_frames_come_as_they_were_said(things: list[Any]) -> None:
    """Messages and bytes, in any order, are the same at the other end."""
    pipe = bytearray()
    near = Frames(io.BytesIO(), pipe.extend)
    for thing in things:
        near.give(thing) if isinstance(thing, bytes) else near.say(value=thing)
    near.flush()
    far = Frames(io.BytesIO(bytes(pipe)), lambda _: None)
    for thing in [t for t in things if t != b""]:
        heard = far.hear()
        assert thing == (bytes(heard) if isinstance(heard, memoryview) else heard["value"])
    with pytest.raises(FramesError):
        far.hear()


def test_large_bytes_are_cut_and_noise_is_no_frame() -> None:
    """No frame has more than a chunk; what is none is refused before anything is made of it."""
    pipe = bytearray()
    near = Frames(io.BytesIO(), pipe.extend)
    near.give(b"x" * (2 * CHUNK + 1))
    near.flush()
    far = Frames(io.BytesIO(bytes(pipe)), lambda _: None)
    assert [CHUNK, CHUNK, 1] == [len(far.hear()) for _ in range(3)]
    for noise in (b"bash: warning: here are some words", b"\1\xff\xff\xff\xff", b"\0\0\0\0\2[]"):
        with pytest.raises(FramesError):
            Frames(io.BytesIO(noise), lambda _: None).hear()


def test_no_shell_sees_anything_in_the_command() -> None:
    """Setup lines and the program go as numbers of bytes where they have signs: nothing for csh or fish to expand."""
    need_sshd()
    options = SshOptions(
        "far", setup=("echo 'it''s' \"$HOME\" !! `date` %s\\\n# more",), python="~/my env/python"
    )
    *words, host, command = ssh_command(options)
    assert ("far", True) == (host, "BatchMode=yes" in words)
    inner = command.removeprefix("exec /bin/sh -c '").removesuffix("'")
    assert not set(inner) & set("'!`\n")
    assert 2 == command.count("'")
    assert "exec /bin/sh -c " == command[:16]
    masked = re.search(r'printf %b "([^"]*)"', inner)
    assert masked
    script = subprocess.run(
        ["sh", "-c", 'printf %b "$1"', "sh", masked[1]], capture_output=True, text=True, check=True
    )
    assert options.setup[0] in script.stdout
    assert "exec \"$HOME\"/'my env/python' -c" in script.stdout


def test_somebodys_own_way_in_is_left_alone(tmp_path: Path) -> None:
    """Where connections are shared already by the configuration of ssh, nothing of that is changed."""
    need_sshd()
    ours = ssh_command(SshOptions("far"))
    theirs = ssh_command(SshOptions("far", options=(f"ControlPath={tmp_path}/%C",)))
    assert any(word.startswith("ControlMaster") for word in ours)
    assert not any(word.startswith(("ControlMaster", "ControlPersist")) for word in theirs)
    assert shlex.join(["-o", f"ControlPath={tmp_path}/%C"]) in shlex.join(theirs)


def test_a_place_that_others_can_write_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are shared only by a socket that nobody else can have put there."""
    need_sshd()
    with tempfile.TemporaryDirectory(dir="/tmp") as root:  # sockets have no long names
        monkeypatch.setattr(tempfile, "tempdir", root)
        folder = Path(root, f"stage-ssh-{os.getuid()}")
        assert any(word.startswith(f"ControlPath={folder}/") for word in ssh_command(SshOptions("far")))
        assert 0o700 == folder.stat().st_mode & 0o777
        folder.chmod(0o777)
        assert not any("ControlPath" in word for word in ssh_command(SshOptions("far")))


def test_mail_is_kept_until_the_disk_takes_it(tmp_path: Path) -> None:
    """What a full disk does not take is said later, whole and in order."""
    box = tmp_path / "box"
    box.symlink_to("/dev/full")
    mail = Mail(box)
    mail.say(a=1)
    with pytest.raises(OSError, match="No space left"):
        mail.post()
    mail.say(b=2)
    box.unlink()
    mail.post()
    mail.post()
    assert '{"a":1}\n{"b":2}\n' == box.read_text()


class Ahead(DrivenEngine):
    """An engine on paper that takes jobs ahead: it does what it is told to say."""

    name: ClassVar[str] = "ahead"
    looks_ahead: bool = True

    def __init__(self, room: int) -> None:
        super().__init__(EngineSettings("paper"))
        self.room = room
        self.started: list[JobRequest] = []
        self.news: list[JobEvent] = []

    @property
    def capacity(self) -> int:
        """As it was told."""
        return self.room

    def ping(self) -> str:
        """Answer."""
        return "here"

    def prepare(self, workflow: Workflow, where: SubmitDir) -> list[Path]:
        """Write nothing."""
        return []

    def open(self, where: SubmitDir, known: Mapping[int, tuple[int, str]]) -> Sequence[tuple[int, int, str]]:
        """Find nothing."""
        return []

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Note them."""
        self.started += requests
        return [f"h{r.number}" for r in requests]

    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Say what it is to say."""
        news, self.news = self.news, []
        return news

    def cancel(self, numbers: Sequence[int]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def asked(number: int, *after: int) -> dict[str, Any]:
    """Return what home says of a job."""
    return {"number": number, "name": f"j{number}", "attempt": 0, "command": ["true"], "log": f"/log/{number}",
            "memory_mb": 10, "after": list(after), "settings": {"label": "kind"}}  # fmt: skip


def test_jobs_are_given_within_room_and_wait_only_for_what_runs(tmp_path: Path) -> None:
    """Of what a job waits for an engine hears what it has; where that has failed meanwhile the job is not begun."""
    engine, mail = Ahead(2), Mail(tmp_path / "box")
    work = Work(engine, SubmitDir(tmp_path), mail, History())
    work.hear([{"start": [asked(0), asked(1, 0), asked(2, 0, 1), asked(3, 1)]}])
    for _ in range(2):
        work.step(0.0)
    assert [(0, ()), (1, (0,))] == [(r.number, r.after) for r in engine.started]
    assert engine.started[0].settings is engine.started[1].settings
    engine.news = [JobEvent(0, 0, JobState.SUCCEEDED), JobEvent(1, 0, JobState.FAILED, Cause.EXIT, 1)]
    for _ in range(3):
        work.step(0.0)
    mail.post()
    assert 2 == len(engine.started)
    assert work.is_idle
    said = mail_rows(tmp_path / "box")
    assert [[2, 0, "FAILED", "parent"], [3, 0, "FAILED", "parent"]] == [r[:4] for r in said[-2:]]


def mail_rows(path: Path) -> list[list[Any]]:
    """Return the events in a box."""
    return [row for line in path.read_text().splitlines() for row in json.loads(line).get("events", ())]


def test_what_was_cancelled_before_an_attempt_was_asked_for_is_not_that(tmp_path: Path) -> None:
    """An agent that reads its box anew does not end an attempt for a word that was about the one before."""
    engine, mail = Ahead(9), Mail(tmp_path / "box")
    history = History(
        given={(0, 0): "h", (0, 1): "h"}, ends={(0, 0): [0, 0, "DELETED", "cancelled", None, "", ""]}
    )
    work = Work(engine, SubmitDir(tmp_path), mail, history)
    again = {**asked(0), "attempt": 1}
    work.hear([{"start": [asked(0)]}, {"cancel": [0]}, {"start": [again]}], again=False)
    work.step(0.0)
    mail.post()
    assert [[0, 1, "FAILED", "node"]] == [row[:4] for row in mail_rows(tmp_path / "box")]
    assert [] == engine.started


def test_what_is_sent_first_needs_nothing_but_python() -> None:
    """The modules of the far end import the standard library, each other in the order in which they go, and blake3 late."""
    package = "stage.batch.engines.ssh"
    known: set[str] = set()
    for name in SENT:
        tree = ast.parse((REPO / package.replace(".", "/") / f"{name}.py").read_text())
        tops = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in tops:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [str(node.module)]
            for module in names:
                assert module in known or module.partition(".")[0] in sys.stdlib_module_names, (name, module)
        late = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)} - {n.module for n in tops if isinstance(n, ast.ImportFrom)}  # fmt: skip
        assert late <= {"blake3"}
        known.add(f"{package}.{name}")
