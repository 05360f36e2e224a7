"""Our packages and a user's modules on a far machine: what goes there, once, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import UsageError
from stage.batch.engines.ssh.connection import Connection
from stage.batch.engines.ssh.options import SshOptions
from stage.batch.engines.ssh.packing import send_code, send_packages
from tests.ssh_world import FarMachine, need_hiding, need_sshd, running_sshd

REPO = Path(__file__).parents[2]
OURS = [REPO / name for name in ("registry", "sync", "stage", "cli")]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarMachine]:
    """A far machine on which our packages are hidden, where that can be."""
    need_sshd()
    need_hiding()
    with running_sshd(tmp_path_factory.mktemp("far"), hidden=OURS) as found:
        yield found


@pytest.fixture
def line(machine: FarMachine) -> Iterator[Connection]:
    """A connection."""
    with Connection(SshOptions.from_section(machine.section())) as found:
        yield found


def write(root: Path, **sizes: Any) -> None:
    """Make files."""
    for name, text in sizes.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))


def below(base: Path, folder: str) -> set[str]:
    """Return the names of files in a directory there."""
    top = Path(folder)
    assert top.is_relative_to(base / "code")
    return {
        str(p.relative_to(top)) for p in top.rglob("*") if p.is_file() and not p.name.startswith(".complete")
    }


def test_our_packages_run_there_as_they_were_sent(machine: FarMachine, line: Connection) -> None:
    """Where none of ours are, those that were sent run; again nothing goes there."""
    python = line.open().python
    code, _, err = line.run([python, "-P", "-c", "import stage.campaign"], environment={})
    assert (1, True) == (code, "ModuleNotFoundError" in err or "ImportError" in err)
    folder = send_packages(line)
    script = "import registry, sync, stage, cli; print(stage.__file__)"
    said = line.run([python, "-P", "-c", script], environment={"PYTHONPATH": folder})
    assert (0, f"{folder}/stage/__init__.py\n", "") == said
    assert 0 == line.run([python, "-P", "-m", "cli", "--version"], environment={"PYTHONPATH": folder})[0]
    sent = machine.line.sent
    assert folder == send_packages(line)
    assert 5000 > machine.line.sent - sent
    here = {str(p.relative_to(REPO)) for top in OURS for p in top.rglob("*") if p.is_file()}
    assert {n for n in here if "__pycache__" not in n} == {
        n for n in below(machine.base, folder) if "__pycache__" not in n
    }


def test_modules_go_there_without_what_is_none(machine: FarMachine, line: Connection, tmp_path: Path) -> None:
    """Hidden files, caches, environments, campaigns, repositories and large files stay here, unless they are named."""
    write(
        tmp_path / "code", tasks_DOT_py=1, data__table_DOT_csv=2, _DOT_hidden=3, _DOT_git__x=4, __pycache__x=5,
        campaign___DOT_campaign_DOT_json=6, campaign__x_DOT_py=7, repo__repo_DOT_yaml=8, repo__sub__x=9,
        env__pyvenv_DOT_cfg=10, env__lib__x_DOT_py=11, pkg__sub__a_DOT_py=12,
    )  # fmt: skip
    (tmp_path / "code/large.csv").write_bytes(b"x" * 10_000_001)
    (tmp_path / "alone.py").write_text("alone")
    (tmp_path / "table").mkdir()
    (tmp_path / "table/.t").write_text("named")
    (first,) = send_code(line, [tmp_path / "code"], [])
    modules = {"tasks.py", "data/table.csv", "pkg/sub/a.py"}
    assert modules == below(machine.base, first)
    extra = ["large.csv", str(tmp_path / "code/.hidden"), str(tmp_path / "alone.py"), str(tmp_path / "table")]
    found = send_code(line, [str(tmp_path / "code"), tmp_path / "nowhere"], extra)
    assert [modules | {"large.csv", ".hidden"}, set(), {"alone.py"}, {"table/.t"}] == [
        below(machine.base, folder) for folder in found
    ]
    assert "alone" == (Path(found[2]) / "alone.py").read_text()


def test_code_that_changes_is_another_directory(
    machine: FarMachine, line: Connection, tmp_path: Path
) -> None:
    """What was sent stays as it was, for jobs that run; of the next version only what is new is sent."""
    write(tmp_path, a_DOT_py="x" * 100_000, b_DOT_py="one")
    (before,) = send_code(line, [tmp_path], [])
    assert [before] == send_code(line, [tmp_path], [])
    (tmp_path / "b.py").write_text("two")
    sent = machine.line.sent
    (after,) = send_code(line, [tmp_path], [])
    assert 20_000 > machine.line.sent - sent
    assert ["one", "two"] == [(Path(folder) / "b.py").read_text() for folder in (before, after)]
    assert (Path(before) / "a.py").samefile(Path(after) / "a.py")


def test_a_campaign_with_modules_keeps_its_own_files(
    machine: FarMachine, line: Connection, tmp_path: Path
) -> None:
    """Modules in a campaign's directory are sent; its database, data and runs are not."""
    write(
        tmp_path, _DOT_campaign_DOT_json=1, staging_DOT_sqlite3=2, data__x=3, submit__u__x=4, tasks_DOT_py=5
    )
    (folder,) = send_code(line, [tmp_path], [])
    assert {"tasks.py"} == below(machine.base, folder)


def test_too_much_code_is_refused(line: Connection, tmp_path: Path) -> None:
    """More than 200 MB are not sent; the largest files are named. Nor is what is not there."""
    for n in range(21):
        with (tmp_path / f"t{n}").open("wb") as file:
            file.truncate(10_000_000 - n)
    with pytest.raises(UsageError, match=r"t0 \(10.0 MB\)") as caught:
        send_code(line, [tmp_path], [])
    assert "much-code" == caught.value.code
    with pytest.raises(UsageError, match="no/such"):
        send_code(line, [], ["no/such"])
