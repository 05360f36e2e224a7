"""What a site says of its pilots: `stage.batch.engines.parsl.options` and `providers`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from registry.errors import StorageError, UsageError
from stage.batch.engines.base import EngineSettings
from stage.batch.engines.parsl.engine import ParslEngine
from stage.batch.engines.parsl.options import read_options
from stage.batch.engines.parsl.pilots import Pilots, Size, import_parsl
from stage.batch.engines.parsl.providers import make_provider

pytestmark = pytest.mark.service


@pytest.fixture(scope="module", autouse=True)
def _parsl() -> None:
    """Load Parsl as the engine does, once."""
    try:
        import_parsl()
    except UsageError as error:
        pytest.skip(str(error))


def provider(**site: Any) -> Any:
    """Return what starts the pilots of a site."""
    return make_provider(read_options(site, "here"), "site.here", {"A": "b c"}, init_blocks=1)


def test_a_cluster_is_a_few_lines() -> None:
    """What all clusters have goes by one name, and the provider's own options by theirs."""
    found = provider(
        provider="slurm",
        queue="main",
        accountingGroup="survey",
        walltime="04:00:00",
        coresPerNode=32,
        memoryPerNode=128_000,
        maxBlocks=10,
        workerInit="module load python",
        providerOptions={"exclusive": False, "constraint": "fast"},
    )

    assert ("main", "survey", "04:00:00", 32, 125, 10) == (
        found.partition, found.account, found.walltime, found.cores_per_node, found.mem_per_node, found.max_blocks,
    )  # fmt: skip
    assert "#SBATCH --constraint=fast" in found.scheduler_options
    assert "#SBATCH --exclusive" not in found.scheduler_options
    lines = found.worker_init.splitlines()
    assert "export A='b c'" in lines
    assert 'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"' in lines
    assert "module load python" == lines[-1]
    assert f'export PATH={Path(sys.executable).parent}:"$PATH"' == lines[0]


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("htcondor", "CondorProvider"),
        ("pbs", "PBSProProvider"),
        ("lsf", "LSFProvider"),
        ("parsl.providers:TorqueProvider", "TorqueProvider"),
    ],
)
def test_other_clusters_are_taken_by_name(name: str, cls: str) -> None:
    """Providers have short names, and any class can be given."""
    assert cls == type(provider(provider=name, walltime="01:00:00")).__name__


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ({"provider": "slurmm"}, "site.here.provider is 'slurmm'"),
        ({"provider": "nowhere:None"}, "cannot be loaded"),
        (
            {"provider": "slurm", "providerOptions": {"partitoin": "x"}},
            "'partitoin', which SlurmProvider does not know",
        ),
        ({"provider": "slurm", "providerOptions": {"exclusive": "maybe"}}, "refuses its options"),
        ({"provider": "slurm", "maxBlocks": 2, "providerOptions": {"max_blocks": 3}}, "says too"),
        ({"walltime": "01:00:00"}, "LocalProvider knows none"),
        ({"maxBlock": 3}, "'maxBlock', which is no setting of pilots"),
        ({"maxBlocks": "many"}, "maxBlocks is 'many', and has to be int"),
        ({"maxBlocks": 0}, "has to be 1 or more"),
        ({"coresPerNode": True}, "coresPerNode is True"),
        ({"walltime": "an hour"}, "which is no time"),
        ({"isolation": "none"}, "it can be fork, process"),
        ({"workerPortRange": [1]}, "two ports"),
        ({"launcher": "jump"}, "site.here.launcher is 'jump'"),
    ],
)
def test_what_is_wrong_is_refused_by_name(site: dict[str, Any], said: str) -> None:
    """A misspelled option, or one of the wrong kind, is an error that names it, and what there is."""
    with pytest.raises(UsageError) as caught:
        provider(**site)

    assert said in str(caught.value)


def test_misspelled_option_names_those_that_there_are() -> None:
    """The hint lists the options of the provider's own signature."""
    with pytest.raises(UsageError) as caught:
        provider(provider="slurm", providerOptions={"partitoin": "x"})

    assert "Did you mean 'partition'? It has: partition, account, qos" in caught.value.hint


def test_settings_of_jobs_in_the_section_are_not_refused() -> None:
    """The section of a site has settings of jobs too."""
    assert read_options(
        {"requestMemory": 3, "wmsServiceClass": "parsl", "requestWalltime": 5}, "here"
    ).is_local


@pytest.mark.parametrize(("given", "taken"), [(36_000, "10:00:00"), ("04:00:00", "04:00:00")])
def test_time_as_yaml_reads_it(given: object, taken: str) -> None:
    """YAML makes a number of seconds of some times, and text of others: both mean the same."""
    assert taken == read_options({"walltime": given}, "here").walltime


def test_places_double_until_a_job_fits(tmp_path: Path) -> None:
    """A job that asks for more than a common place gets one of twice or four times that, and no more than a node has."""
    site = {"provider": "slurm", "coresPerNode": 8, "memoryPerNode": 20_000, "memoryPerWorker": 2000}
    pilots = Pilots(read_options(site, "here"), "site.here", tmp_path, {})

    assert Size(1, 2000) == pilots.size_for(None, None) == pilots.size_for(2000, 1)
    assert Size(1, 4000) == pilots.size_for(2001, 1)
    assert Size(4, 20_000) == pilots.size_for(16_001, 3)
    with pytest.raises(UsageError, match=r"it asks for 20001 MB, and a node of site\.here has 20000 MB"):
        pilots.size_for(20_001, 1)
    with pytest.raises(UsageError, match="it asks for 9 cores"):
        pilots.size_for(1, 9)


def test_ping_names_the_command_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider whose commands are not there does not answer."""
    monkeypatch.setenv("PATH", "/nowhere")

    assert "LocalProvider" in ParslEngine(EngineSettings("here", {})).ping()
    with pytest.raises(StorageError, match="CondorProvider needs the command condor_submit"):
        ParslEngine(EngineSettings("here", {"provider": "htcondor"})).ping()


def test_parsl_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Parsl is not installed, the command that installs it is said."""
    monkeypatch.setitem(sys.modules, "parsl", None)

    with pytest.raises(UsageError, match="not installed here") as caught:
        ParslEngine(EngineSettings("here", {})).ping()
    assert "pip install 'stage[parsl]'" in caught.value.hint
