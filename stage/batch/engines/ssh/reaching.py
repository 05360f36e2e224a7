"""The command by which ``ssh`` gets to a far machine, and what it runs there, whatever the shells between are."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import stat
import subprocess
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from pathlib import Path

from stage.batch.engines.ssh.frames import MAGIC
from stage.batch.engines.ssh.options import SshOptions

__all__ = ["NEEDS", "SENT", "first_words", "ssh_command", "try_command"]

NEEDS = {
    "alembic": "alembic",
    "blake3": "blake3",
    "fsspec": "fsspec",
    "lark": "lark",
    "numpy": "numpy",
    "pydantic": "pydantic",
    "sqlalchemy": "sqlalchemy",
    "typer": "typer",
    "yaml": "pyyaml",
    "zstandard": "zstandard",
}
"""The modules that python there has to have, and the packages that bring them."""
_PACKAGE = "stage.batch.engines.ssh"
SENT = ("frames", "far_places", "far_content", "far_receiving", "far_processes", "far")
"""The modules that are the far end, in the order in which they are loaded there."""
_ALIVE = ("ServerAliveInterval=15", "ServerAliveCountMax=3")
_ALWAYS = ("BatchMode=yes", "ClearAllForwardings=yes", "RemoteCommand=none", "PermitLocalCommand=no")
_PERSIST_S = 10
# Understood by any Python that there may be, so that an old one can be told by its name.
_LOADER = """
import sys
sys.path[:] = [p for p in sys.path if p]
import io, json, types
source = io.open(0, "rb", 1 << 18, closefd=False)
given = json.loads(source.read(int(source.readline())).decode("ascii"))
magic = given["magic"].encode("ascii")
if sys.version_info < (3, 11):
    import os, struct
    said = json.dumps({"old": "%d.%d.%d" % sys.version_info[:3]}).encode("ascii")
    os.write(1, magic + struct.pack(">BI", 0, len(said)) + said)
    sys.exit(0)
for name in given["parents"]:
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
for name, text in given["modules"]:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name + ".py", "exec"), module.__dict__)
given.update(source=source, magic=magic)
module.main(given)
"""
# What setup lines print, or want to read, has nothing to do with the pipe.
_SCRIPT = "{setup}exec {python} -c {loader}"
_SETUP = "exec 3>&1 4<&0 1>&2 0</dev/null\n{lines}\nexec 1>&3 0<&4 3>&- 4<&-\n"
# Lines for the shell are written for the one that people know, and 'module' is made by its profile.
_BASH = 'if command -v bash >/dev/null 2>&1; then exec bash -l -c "$S"; else exec /bin/sh -c "$S"; fi'
_UNSAFE = re.compile(r"[^A-Za-z0-9 _./=:,+@{}\[\]()<>;&|*?~^#-]")


def ssh_command(options: SshOptions) -> list[str]:
    """Return the command that begins the far end of a connection.

    Parameters
    ----------
    options : SshOptions
        How to get there.

    Returns
    -------
    list of str
        Program and arguments.
    """
    return [*_way(options), *_shared(options), "--", options.host, _far_command(options)]


def try_command(options: SshOptions, *words: str) -> str:
    """Return a command that a person can type to see what ssh says.

    Parameters
    ----------
    options : SshOptions
        How to get there.
    *words : str
        What is to be run there.

    Returns
    -------
    str
        One line.
    """
    given = ["-o", "BatchMode=yes"] if words == ("true",) else []
    return shlex.join([options.command, *given, *_given(options), options.host, *words])


def first_words(options: SshOptions) -> bytes:
    """Return what is to be written to the far end first: the program that it is.

    Parameters
    ----------
    options : SshOptions
        How to get there.

    Returns
    -------
    bytes
        For the loader in its command.
    """
    parents = [_PACKAGE.rsplit(".", n)[0] for n in range(_PACKAGE.count("."), -1, -1)]
    given = {
        "parents": parents,
        "modules": [[f"{_PACKAGE}.{name}", text] for name, text in _sources()],
        "base": options.base_dir,
        "needs": sorted(NEEDS),
        "python": options.python,
        "magic": MAGIC.decode("ascii"),
    }
    data = json.dumps(given).encode("ascii")
    return b"%d\n%b" % (len(data), data)


@lru_cache(maxsize=1)
def _sources() -> list[tuple[str, str]]:
    folder = resources.files(_PACKAGE)
    return [(name, (folder / f"{name}.py").read_text(encoding="utf-8")) for name in SENT]


def _given(options: SshOptions) -> list[str]:
    """Return what the site says of the way."""
    words: list[str] = []
    if options.port is not None:
        words += ["-p", str(options.port)]
    if options.identity_file:
        words += ["-i", options.identity_file]
    return [*words, *_each(options.options)]


def _way(options: SshOptions) -> list[str]:
    timeout = f"ConnectTimeout={max(1, round(options.connect_timeout))}"
    # Of an option that is given twice ssh takes the first: the site's own words go before our defaults.
    return [
        *(options.command, "-T", "-x"),
        *_each(_ALWAYS),
        *_given(options),
        *_each([timeout, *_ALIVE]),
    ]


def _each(options: Iterable[str]) -> list[str]:
    return [word for option in options for word in ("-o", option)]


def _shared(options: SshOptions) -> list[str]:
    """Return the options by which further connections go by the first one, which costs no more greeting.

    Where somebody has set that up already it is left alone: it may be how they got in at all, with a second factor.
    """
    if _has_own_path(options.command, options.host, tuple(_given(options))):
        return []
    folder = _private_folder()
    if folder is None:
        return []
    name = hashlib.sha256(repr([*_way(options), options.host]).encode()).hexdigest()[:16]
    return _each(["ControlMaster=auto", f"ControlPath={folder}/{name}", f"ControlPersist={_PERSIST_S}"])


@lru_cache(maxsize=64)
def _has_own_path(command: str, host: str, given: tuple[str, ...]) -> bool:
    words = [command, "-G", *given, "--", host]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    return said.get("controlpath", "none") != "none"


def _private_folder() -> Path | None:
    """Return a directory that nobody else can write, with a short name: sockets have no long ones."""
    folder = Path(tempfile.gettempdir()) / f"stage-ssh-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if is_ours and len(str(folder)) < 60 else None


def _far_command(options: SshOptions) -> str:
    """Return one command for a login shell of any kind, which sees nothing in it that means something to it."""
    python = shlex.quote(options.python)
    if options.python.startswith("~/"):
        python = f'"$HOME"/{shlex.quote(options.python[2:])}'
    setup = _SETUP.format(lines="\n".join(options.setup)) if options.setup else ""
    script = _SCRIPT.format(setup=setup, python=python, loader=shlex.quote(_LOADER))
    inner = _BASH if options.setup else 'eval "$S"'
    wrapped = f'S=$(printf %b "{_masked(script)}"); {inner}'
    return f"exec /bin/sh -c '{wrapped}'"


def _masked(text: str) -> str:
    # Shells of all kinds agree on letters and digits; anything else goes as the number of its byte.
    return _UNSAFE.sub(lambda found: "".join(f"\\0{byte:03o}" for byte in os.fsencode(found[0])), text)
