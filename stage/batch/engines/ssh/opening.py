"""`FarSide`: a submission laid out on the far machine, and the agent that looks after it there."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from registry.errors import NotFoundError
from stage.batch.config.making import package_defaults
from stage.batch.engines.base import EngineSettings
from stage.batch.engines.ssh.connection import Connection, FarFile, Hello
from stage.batch.engines.ssh.home import Home
from stage.batch.engines.ssh.inputs import InputFinder
from stage.batch.engines.ssh.packing import send_code, send_packages
from stage.batch.engines.ssh.translating import FarRun, Translator, translator_for
from sync.fetching.binding import BINDING
from sync.filesystem import files

__all__ = ["FarSide", "ask_agent", "lay_out"]

_AGENT = ("-P", "-m", "stage.batch.engines.ssh.agent")
_SENT, _ORIGIN = "sent.json", ".home"
_ASK_S = 90.0
_PROGRAM = '#!/bin/sh\nPYTHONPATH={code}${{PYTHONPATH:+:$PYTHONPATH}} exec {python} -P -m cli "$@"\n'


@dataclass(frozen=True, slots=True)
class FarSide:
    """A submission on the far machine.

    Parameters
    ----------
    run : FarRun
        Where it lies.
    python : str
        The interpreter there.
    code : str
        Directory of our packages there, absolute.
    translator : Translator
        From paths of home.
    """

    run: FarRun
    python: str
    code: str
    translator: Translator

    def start_agent(self, connection: Connection) -> None:
        """Start the agent, which leaves at once if there is one.

        Parameters
        ----------
        connection : Connection
            Open.
        """
        connection.start(
            [self.python, *_AGENT, self.run.there(self.run.name)],
            cwd=self.run.submit,
            log=f"{self.run.agent}/agent.log",
            environment={"PYTHONPATH": self.code},
        )


def lay_out(
    connection: Connection, settings: EngineSettings, inner: str, home: Home, finder: InputFinder
) -> FarSide:
    """Bring all there that every job needs: our code, theirs, the graph and the jobs. Again it sends nothing.

    Parameters
    ----------
    connection : Connection
        Open.
    settings : EngineSettings
        Of the site.
    inner : str
        The engine that runs jobs there.
    home : Home
        The submission.
    finder : InputFinder
        Knows what its datastore says of itself.

    Returns
    -------
    FarSide
        Ready for its agent.

    Raises
    ------
    StageError
        If something cannot be sent.
    """
    hello = connection.open()
    where = home.where
    run = FarRun.of(hello.base, settings.run_name, Path(where.tag))
    code = send_packages(connection)
    search_path = home.graph.header.search_path if home.graph is not None else ()
    theirs = send_code(connection, [p for p in search_path if Path(p).is_dir()], connection.options.send)
    programs = {sys.executable: hello.python, **_own_programs(run)}
    places = {str(where.root): run.submit, home.data: run.data, home.campaign: run.name}
    translator = translator_for(run, places, programs)
    connection.put(
        run.program,
        _PROGRAM.format(code=shlex.quote(code), python=shlex.quote(hello.python)).encode(),
        executable=True,
    )
    connection.put(
        f"{run.data}/{BINDING}", f"{json.dumps(asdict(finder.binding()), sort_keys=True)}\n".encode()
    )
    # It makes the directory too, and says to who looks around there whose it is.
    connection.put(f"{run.submit}/{_ORIGIN}", f"{os.uname().nodename}:{where.root}\n".encode())
    _send_files(connection, run, [where.graph, where.workflow])
    variables = {
        **translator.environment(settings.environment),
        **_variables(connection, run, code, theirs, settings.environment),
    }
    far = EngineSettings(settings.site, _far_options(settings.options), settings.run_name, variables)
    connection.put(f"{run.agent}/agent.json", _document(inner, far))
    return FarSide(run, hello.python, code, translator)


def ask_agent(connection: Connection, settings: EngineSettings, inner: str, *words: str) -> object:
    """Ask the inner engine something where it is; nothing is left there but our code.

    Parameters
    ----------
    connection : Connection
        Open.
    settings : EngineSettings
        Of the site.
    inner : str
        The engine.
    *words : str
        What.

    Returns
    -------
    object
        The line that it printed, read as JSON.
    """
    hello = connection.open()
    code = send_packages(connection)
    folder = f"runs/.ask-{os.urandom(6).hex()}"
    far = replace(settings, options=_far_options(settings.options))
    connection.put(f"{folder}/agent/agent.json", _document(inner, far))
    try:
        words = (hello.python, *_AGENT, f"{hello.base}/{folder}", "--ask", *words)
        done = connection.run(words, environment={"PYTHONPATH": code}, timeout_s=_ASK_S)
    finally:
        connection.remove(folder)
    return _answer(hello, *done)


def _answer(hello: Hello, code: int, out: str, err: str) -> object:
    from registry.errors import StorageError

    try:
        return json.loads(out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        last = next((line for line in reversed(err.splitlines()) if line.strip()), f"exit code {code}")
        raise StorageError(
            f"what is to ask the engine on {hello.host} failed: {last}",
            code="far-agent",
            hint=f"Its python is {hello.python}: see that it has what 'pip install stage' brings.",
        ) from None


def _document(inner: str, settings: EngineSettings) -> bytes:
    return json.dumps({"engine": inner, "settings": asdict(settings)}, indent=1, default=str).encode()


def _far_options(options: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in options.items() if key != "ssh"}


def _own_programs(run: FarRun) -> dict[str, str]:
    """Return what `stage` is called at home, with what it is there."""
    said = shlex.split(str(package_defaults().get("stageCommand") or ""))
    beside = str(Path(sys.executable).with_name("stage"))
    return {word: run.there(run.program) for word in (*said[:1], beside) if Path(word).is_absolute()}


def _variables(
    connection: Connection, run: FarRun, code: str, theirs: Sequence[str], said: Mapping[str, str]
) -> dict[str, str]:
    path = said.get("PATH") or connection.run(["/bin/sh", "-c", 'printf %s "$PATH"'], environment={})[1]
    bin_there = str(Path(run.there(run.program)).parent)
    python_path = [code, *([said["PYTHONPATH"]] if said.get("PYTHONPATH") else [])]
    found = {
        "PATH": f"{bin_there}:{path}",
        "PYTHONPATH": ":".join(python_path),
        "STAGE_DATASTORE": run.there(run.data),
    }
    return found | ({"STAGE_TASK_PATH": ":".join(theirs)} if theirs else {})


def _send_files(connection: Connection, run: FarRun, paths: Sequence[Path]) -> None:
    """Send files of the submission that are not there yet, or are others by now."""
    there = [p for p in paths if p.exists()]
    sizes = {p.name: files.size(p) for p in there}
    sums = {p.name: files.checksum(p)[1] for p in there}
    found: dict[str, object] = {}

    def take(name: str, chunks: Iterator[bytes]) -> None:
        del name
        found.update(json.loads(b"".join(chunks)))

    with contextlib.suppress(NotFoundError):
        connection.fetch([f"{run.agent}/{_SENT}"], take)
    changed = [p for p in there if found.get(p.name) != sums[p.name]]
    if changed:
        connection.send([(FarFile(f"{run.submit}/{p.name}", sizes[p.name]), str(p)) for p in changed])
    connection.put(f"{run.agent}/{_SENT}", json.dumps(sums).encode())
