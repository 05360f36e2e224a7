"""Workers in what holds them apart from the machine: real containers of the kernel, where this machine lets us make them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stage.execution.progress import RunSummary
from stage.execution.run import run_graph
from tests.execution_lab import Lab, chain, make_lab
from tests.integration.tiny_campaign import ROOT, call, make_upstream


def skip_unless(*command: str) -> None:
    """Skip a test where a program is not installed, or may not do what it is asked for."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} may not do that here: {done.stderr.strip()[:80]}")


def lab_of(root: Path, outside: Path) -> Lab:
    """Make a lab of which one quantum writes somewhere else."""
    return make_lab(root, chain(double={"behave": {"1": f"tell:{outside}"}}), samples=3)


def run(lab: Lab, wrap: str) -> RunSummary:
    """Run it with two wrapped workers."""
    return run_graph(lab.staging, lab.graph_uri, processes=2, wrap=wrap)


def test_workers_in_a_container_see_only_what_is_bound(tmp_path: Path) -> None:
    """In bubblewrap, with its own processes and no network, quanta run; what they write elsewhere is gone."""
    base = (
        "bwrap",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--unshare-pid",
        "--unshare-net",
    )
    skip_unless(*base)
    root, outside = tmp_path / "lab", tmp_path / "outside"
    lab = lab_of(root, outside)
    # What the quantum writes beside its lab goes to a directory that is gone with its worker.
    assert run(lab, f"{' '.join(base)} --tmpfs {tmp_path} --bind {root} {root} {{command}}").is_complete
    assert not outside.exists()
    assert lab.get("doubled", batch=0, sample=2) == {"x": 4.0}
    assert lab.get("double_metadata", batch=0, sample=2)["wrapped_in"].startswith("bwrap ")
    assert lab.get("double_metadata", batch=0, sample=2)["pid"] < 100


def test_a_container_whose_worker_is_killed_costs_one_quantum(tmp_path: Path) -> None:
    """Where the wrapper's process dies, so does the worker in it, and the next one goes on."""
    base = (
        "bwrap",
        "--bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--unshare-pid",
        "--die-with-parent",
    )
    skip_unless(*base)
    lab = make_lab(tmp_path, chain(double={"behave": {"1": "kill"}}), samples=3)
    summary = run(lab, f"{' '.join(base)} {{command}}")

    assert len(summary.failures) == 1
    assert "worker process died" in summary.failures[0].message
    assert summary.total.left == 0


def test_workers_in_namespaces_of_their_own(tmp_path: Path) -> None:
    """Unshare gives them another view of users and mounts."""
    skip_unless("unshare", "--map-root-user", "--mount")
    outside = tmp_path / "outside"
    lab = lab_of(tmp_path / "lab", outside)

    assert run(lab, "unshare --map-root-user --mount {command}").is_complete
    assert outside.exists()


def test_a_task_can_write_nowhere_but_where_outputs_go(tmp_path: Path) -> None:
    """With all else read-only, a script that writes beside its own directories fails by name, and spoils nothing."""
    # The program itself may lie below the place that is hidden.
    own = [
        word
        for place in (ROOT, sys.prefix, sys.base_prefix)
        for word in ("--ro-bind", str(place), str(place))
    ]
    base = ("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", *own)
    skip_unless(*base)
    make_upstream(tmp_path)
    (tmp_path / "scripts.yaml").write_text(
        "tasks:\n  copy:\n    dimensions: [station, month]\n"
        "    inputs: {reading: {dataset_type: reading, storage_class: Json}}\n"
        "    outputs: {copied: {dataset_type: copied, storage_class: Json}}\n"
        f'    shell: cp "$reading" "$copied"; test $STAGE_STATION != bex || echo x >> "{tmp_path}/$target"\n'
        "    config: {target: mine}\n"
    )
    call("clone", "upstream", "camp", "-p", "scripts.yaml", "-i", "net/raw", cwd=tmp_path)
    camp = tmp_path / "camp"
    (camp / "logs").mkdir()
    bound = (f"--bind {camp / name} {camp / name}" for name in ("data", "logs"))
    wrap = f"{' '.join(base)} --ro-bind {tmp_path} {tmp_path} {' '.join(bound)} {{command}}"
    call("run", "-q", "-j1", "--wrap", wrap, cwd=camp, code=3)
    report = json.loads(call("status", "--json", cwd=camp).stdout)
    (found,) = report["runs"]

    assert found["tasks"]["copy"] == {"succeeded": 4, "failed": 2}
    assert all("Read-only file system" in failure["message"] for failure in found["failures"])
    assert not (tmp_path / "mine").exists()
    call("run", "-q", "-j1", cwd=camp)  # without it, nothing keeps the same script from that
    assert (tmp_path / "mine").read_text() == "x\nx\n"
