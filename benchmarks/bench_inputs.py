"""What it costs to fetch the files of inputs, and to free them, beside the programs that only move files.

    python benchmarks/bench_inputs.py [--n 1000 10000] [--only inputs-copy] [--json results.json]

Each input is a file of 200 bytes. The floor of ``inputs-copy`` is ``cp -r`` of the same tree, of ``inputs-link``
``cp -rl``, of ``inputs-drop`` ``rm -r``; ours verifies each copy against its checksum, makes all of it durable and
records where it is. Figures are CPU time (user and system, of the programs too) a file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.parts import Figures, cpu, program, run_program, survey
from benchmarks.sync_world import campaign, raws_of, write_files
from sync.clone import execute_fetch, plan_fetch
from sync.drop import execute_drop, plan_drop
from sync.fetching.artifacts import ArtifactMode, plan_artifacts

_FLAGS: dict[ArtifactMode, str] = {"copy": "-r", "link": "-rl"}


def measure(root: Path, n: int, mode: ArtifactMode) -> Figures:
    """Fetch n files and free them again."""
    with survey(root, n) as upstream, campaign(root, upstream) as staging:
        with upstream.registry.read() as snap:
            raws = snap.datasets("raw", ["CAM/raw"], artifacts=True)
        write_files(upstream.datastore.root, raws["uri"].tolist())
        wanted = raws_of(upstream)
        # The rows alone are what ``clone`` of bench_sync measures.
        execute_fetch(plan_fetch(upstream, staging, wanted), staging)

        def fetch() -> None:
            plan = plan_fetch(upstream, staging, wanted)
            execute_fetch(plan, staging, plan_artifacts(plan.datasets, upstream, staging, mode, held=None))

        idle = cpu(lambda: plan_fetch(upstream, staging, wanted))
        ours = cpu(fetch) - idle
        source, bare = Path(upstream.datastore.root), root / "bare"
        floor = cpu(program("cp", _FLAGS[mode], source, bare))
        yield f"inputs-{mode}", ours / n * 1e6, floor / n * 1e6, "us/file"
        if mode == "copy":
            freed = cpu(lambda: execute_drop(plan_drop(staging, upstream, [], inputs_beside=[]), staging))
            yield "inputs-drop", freed / n * 1e6, cpu(program("rm", "-r", bare)) / n * 1e6, "us/file"


MEASURES = {
    "inputs-copy inputs-drop": lambda root, n: measure(root, n, "copy"),
    "inputs-link": lambda root, n: measure(root, n, "link"),
}

if __name__ == "__main__":
    sys.exit(run_program(MEASURES, __doc__ or ""))
