"""A pilot: Parsl's pool of workers, in processes that take half as long to start.

The workers are made by multiprocessing, which imports this module in each of them before anything else.
"""

from __future__ import annotations

import ast
import inspect
import runpy

from stage.batch.engines.parsl.loading import loading_worker

__all__ = ["main"]

_MODULE = "parsl.executors.high_throughput.process_worker_pool"

with loading_worker():
    from parsl.executors.high_throughput import process_worker_pool


def main() -> None:
    """Do what that module does as a program, in the module as it is loaded: its workers find it by name."""
    for node in ast.parse(inspect.getsource(process_worker_pool)).body:
        if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
            program = compile(ast.Module(node.body, []), process_worker_pool.__file__, "exec")
            exec(program, vars(process_worker_pool))  # noqa: S102 - its own words
            return
    runpy.run_module(_MODULE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
