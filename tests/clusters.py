"""Schedulers for tests: a real Slurm, with a controller, nodes and munge of its own, that the tests start themselves.

Each worker of a run of the tests has its own, on free ports; it needs root, and the packages slurm-wlm and munge.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

__all__ = ["Slurm", "need_slurm", "running_slurm", "slurm", "slurm_memory", "slurm_nodes"]

_HOME = "stage-slurm-"
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
_MUNGE = (
    ("key-file", "key"),
    ("socket", "sock"),
    ("pid-file", "pid"),
    ("log-file", "log"),
    ("seed-file", "seed"),
)
_CONF = """
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={root}/munge/sock,cred_expire={credential_s}
SlurmUser=root
SlurmdUser=root
StateSaveLocation={root}/ctld
SlurmdSpoolDir={root}/d/%n
SlurmctldPidFile={root}/ctld.pid
SlurmdPidFile={root}/%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/%n.log
ProctrackType=proctrack/{tracking}
TaskPlugin=task/{task}
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters={select}
DefMemPerCPU=200
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
{gathering}
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MaxArraySize={array_size}
MaxJobCount=20000
MinJobAge={keep_s}
SlurmdTimeout={node_timeout_s}
KillWait=2
FirstJobId={first}
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports} CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={nodes} Default=YES MaxTime=INFINITE State=UP
"""
_CGROUP_CONF = """
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
ConstrainRAMSpace=yes
AllowedRAMSpace=100
"""


@dataclass
class Slurm:
    """A scheduler that runs on this machine.

    Parameters
    ----------
    root : pathlib.Path
        Where its configuration, state and logs are.
    nodes : sequence of str
        Names of its nodes.
    partition : str, optional
        Its only partition.
    """

    root: Path
    nodes: Sequence[str]
    partition: str = "main"
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment = {"SLURM_CONF": f"{self.root}/etc/slurm.conf"}

    def ask(self, *command: str, check: bool = True) -> str:
        """Return what a client says."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        environment = {**os.environ, **self.environment}
        subprocess.run(["slurmd", "-N", name], env=environment, check=True, capture_output=True, timeout=60)

    def kill_node(self, name: str) -> None:
        """Kill the daemon of a node as a power cut does; what it started runs on."""
        os.kill(int((self.root / f"{name}.pid").read_text()), signal.SIGKILL)

    def wait_for_nodes(self, timeout_s: float = 30.0) -> None:
        """Wait until all nodes take jobs."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            said = self.ask("sinfo", "-h", "-N", "-o", "%T", check=False).split()
            if len(said) == len(self.nodes) and set(said) <= {"idle", "mixed", "allocated"}:
                return
            time.sleep(0.05)
        raise RuntimeError(f"the nodes of Slurm are {said}; see {self.root}/log")

    def cancel_all(self) -> None:
        """End all jobs, and wait until they are gone."""
        self.ask("scancel", "-u", "root", check=False)
        for _ in range(200):
            if not self.ask("squeue", "-h", check=False).strip():
                return
            time.sleep(0.05)

    @property
    def pids(self) -> list[int]:
        """Its daemons, and what they have started and nobody waits for."""
        return _processes(self.root)


def _processes(root: Path) -> list[int]:
    """Find the processes of a cluster: by a variable that jobs have, the command line, or an open file."""
    found: set[int] = set()
    mark = os.fsencode(f"{root}/")
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (folder / "comm").read_text()
            if name.startswith(("slurm", "munged")):
                opened = (os.fsencode(fd.readlink()) for fd in (folder / "fd").iterdir())
                mine = mark in (folder / "cmdline").read_bytes() or any(mark in path for path in opened)
            else:
                environment = (folder / "environ").read_bytes()
                mine = b"SLURM_CONF=" + mark in environment and b"SLURM_JOB_ID=" in environment
            if mine:
                found.add(int(folder.name))
    return sorted(found - {os.getpid()})


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _end(root: Path) -> None:
    """End what a cluster is made of, and remove its files."""
    for _ in range(3):  # what a daemon starts meanwhile is found the next time
        pids = _processes(root)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 2
        while time.monotonic() < until and any(map(_is_alive, pids)):
            time.sleep(0.01)
    mark = (root / "mark").read_text() if (root / "mark").exists() else "none"
    for folder in sorted(Path("/sys/fs/cgroup").glob(f"*/slurm_{mark}*/**/"), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()
    shutil.rmtree(root, ignore_errors=True)


def _sweep() -> None:
    """Do the same to those whose tests were killed before they could."""
    for owner in Path("/tmp").glob(f"{_HOME}*/owner"):
        with contextlib.suppress(OSError, ValueError):
            if not _is_alive(int(owner.read_text())):
                _end(owner.parent)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextlib.contextmanager
def running_slurm(
    *,
    nodes: int = 1,
    cpus: int = 64,
    memory: str = "",
    node_timeout_s: int = 300,
    keep_s: int = 300,
    array_size: int = 1001,
    credential_s: int = 120,
) -> Iterator[Slurm]:
    """Run a Slurm for as long as the block lasts.

    Parameters
    ----------
    nodes : int, optional
        How many; all are this machine.
    cpus : int, optional
        How many each says it has: what is run at once, a cycle of the scheduler.
    memory : {"", "kernel", "slurm"}, optional
        Who holds jobs to their memory: nobody; the kernel, so that they end as OUT_OF_MEMORY, which needs control groups;
        or Slurm, which looks once a second and ends them as FAILED.
    node_timeout_s : int, optional
        After how long a node that does not answer is down.
    keep_s : int, optional
        How long the controller remembers what has ended.
    array_size : int, optional
        One more than the highest index of an array.
    credential_s : int, optional
        After how long what lets a job start expires; a job that is put back in the queue waits that long too. Less than 5 is taken for 120.
    """
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        _sweep()
    root = Path(tempfile.mkdtemp(prefix=_HOME, dir="/tmp"))
    mark = f"t{secrets.token_hex(3)}"
    for folder in ("ctld", "d", "log", "etc", "munge"):
        (root / folder).mkdir()
    (root / "owner").write_text(str(os.getpid()))
    (root / "mark").write_text(mark)
    names = [f"{mark}n{i}" for i in range(nodes)]
    port, *ports = _free_ports(1 + nodes)
    own = {
        "name": mark,
        "host": socket.gethostname().split(".")[0],
        "port": port,
        "root": root,
        "tracking": "cgroup" if memory == "kernel" else "linuxproc",
        "task": "cgroup" if memory == "kernel" else "none",
        "gathering": "JobAcctGatherParams=OverMemoryKill" if memory == "slurm" else "",
        "select": "CR_Core_Memory" if memory else "CR_Core",
        "array_size": array_size,
        "credential_s": credential_s,
        "keep_s": keep_s,
        "node_timeout_s": node_timeout_s,
        "first": secrets.randbelow(60_000) + 1,  # control groups are named by it
        "nodes": ",".join(names),
        "ports": ",".join(map(str, ports)),
        "cpus": cpus,
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1 << 20) - 1024,
    }
    (root / "etc/slurm.conf").write_text(_CONF.format(**own))
    if memory == "kernel":
        (root / "etc/cgroup.conf").write_text(_CGROUP_CONF)
    cluster = Slurm(root, names)
    try:
        _start_munge(root / "munge")
        environment = {**os.environ, **cluster.environment}
        subprocess.run(["slurmctld", "-c"], env=environment, check=True, capture_output=True, timeout=60)
        for name in names:
            (root / "d" / name).mkdir()
            cluster.start_node(name)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        _end(root)


def _start_munge(folder: Path) -> None:
    (folder / "key").write_bytes(secrets.token_bytes(1024))
    (folder / "key").chmod(0o600)
    folder.parent.chmod(0o755)
    folder.chmod(0o711)
    for path in (folder, folder / "key"):
        shutil.chown(path, "munge", "munge")
    words = [f"--{name}={folder}/{file}" for name, file in _MUNGE]
    subprocess.run(
        ["runuser", "-u", "munge", "--", "munged", *words], check=True, capture_output=True, timeout=60
    )


def _look_where_daemons_are() -> None:
    """Look for programs in the places of administrators too; what a CI has as PATH may lack them."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join([*path, *(place for place in _SBIN if place not in path)])


def need_slurm(*, memory: bool = False) -> None:
    """Skip by name where it cannot be had."""
    if os.getuid() != 0:
        pytest.skip("no Slurm: its daemons are started as root only")
    _look_where_daemons_are()
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"no Slurm: {', '.join(missing)} not installed (apt-get install slurm-wlm munge)")
    if memory and not Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists():
        pytest.skip(
            "no Slurm that holds jobs to their memory: this machine has no control groups of version 1"
        )


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A Slurm with one node, that does not hold jobs to their memory."""
    need_slurm()
    with running_slurm() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_memory() -> Iterator[Slurm]:
    """A Slurm whose jobs are killed for too much memory, by the kernel."""
    need_slurm()
    if not Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists():
        pytest.skip(
            "no Slurm that holds jobs to their memory: this machine has no control groups of version 1"
        )
    with running_slurm(memory="kernel", cpus=16) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_nodes() -> Iterator[Slurm]:
    """A Slurm with two nodes, that gives up a node which does not answer after five seconds."""
    need_slurm()
    with running_slurm(nodes=2, cpus=16, node_timeout_s=5, credential_s=5) as cluster:
        yield cluster
