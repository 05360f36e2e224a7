"""Where things are in a campaign directory, and how a campaign is found."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from registry.errors import AlreadyExistsError, NotFoundError

__all__ = [
    "AFAR_FILE",
    "DIRECTORY_VARIABLE",
    "STATE_FILE",
    "Layout",
    "absolute_uri",
    "campaign_exists",
    "find_campaign",
    "local_directory",
]

STATE_FILE = ".campaign.json"
DIRECTORY_VARIABLE = "STAGE_CAMPAIGN_DIR"
AFAR_FILE = ".campaign.afar.uri"
"""Says where a campaign is kept of which a directory is this machine's copy."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
"""What a URI begins with; of its two strokes a `Path` that was made from it has one."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one campaign.

    Parameters
    ----------
    root : pathlib.Path
        The campaign directory, absolute.
    """

    root: Path

    @property
    def state(self) -> Path:
        """The state file."""
        return self.root / STATE_FILE

    @property
    def lock(self) -> Path:
        """The lock file: who is changing the campaign."""
        return self.root / ".campaign.lock"

    @property
    def unfinished(self) -> Path:
        """The note of a new campaign that is not whole yet: whose files of inputs it has."""
        return self.root / ".campaign.unfinished.json"

    @property
    def sources(self) -> Path:
        """The file that notes what the pipeline was made from."""
        return self.root / ".campaign.sources.json"

    @property
    def history(self) -> Path:
        """What the campaign was after its latest commands."""
        return self.root / ".campaign.history"

    @property
    def staging(self) -> Path:
        """The staging registry's database."""
        return self.root / "staging.sqlite3"

    @property
    def staging_url(self) -> str:
        """The staging registry as a URL."""
        return f"sqlite:///{self.staging}"

    @property
    def data(self) -> Path:
        """Where the staging datastore is in a campaign that is where it is."""
        return self.root / "data"

    @property
    def data_root(self) -> str:
        """Root of the staging datastore: beside the other files of a campaign that is kept at a URI."""
        return f"{self.kept_at}/data" if self.kept_at else str(self.data)

    @property
    def kept_at(self) -> str:
        """Where the campaign is kept of which the directory is a copy; empty if it is where it is."""
        try:
            return (self.root / AFAR_FILE).read_text()
        except OSError:
            return ""

    @property
    def shown(self) -> str:
        """What a person knows the directory by."""
        from sync.filesystem.uris import redact

        return redact(self.kept_at) or str(self.root)

    @property
    def logs(self) -> Path:
        """Root of the logs of quanta."""
        return self.root / "logs"

    @property
    def pipeline(self) -> Path:
        """The local pipeline, made when the pipeline is edited."""
        return self.root / "pipeline.yaml"

    def submit(self, run: str) -> Path:
        """Return the directory of a run's own graph, records and job files.

        Parameters
        ----------
        run : str
            A RUN collection.

        Returns
        -------
        pathlib.Path
            ``submit/<run>``.
        """
        return self.root / "submit" / run

    def run_graph(self, run: str) -> Path:
        """Return the graph that a run executes.

        Parameters
        ----------
        run : str
            A RUN collection.

        Returns
        -------
        pathlib.Path
            ``submit/<run>/graph.qg``.
        """
        return self.submit(run) / "graph.qg"

    def resolve(self, uri: str) -> str:
        """Return a URI of the state file as an absolute one.

        Parameters
        ----------
        uri : str
            Relative to the campaign, an absolute path, or with a scheme; a ``#selection`` is kept.

        Returns
        -------
        str
            An absolute path or a URI.
        """
        if "://" in uri or uri.startswith("/"):
            return uri
        return str(self.root / uri)

    def relative(self, uri: str) -> str:
        """Return a URI as the state file stores it: no absolute path to the campaign itself.

        Parameters
        ----------
        uri : str
            An absolute path or a URI.

        Returns
        -------
        str
            Relative to the campaign if it lies below it, else unchanged.
        """
        path, hash_sign, selection = uri.partition("#")
        if "://" not in path and Path(path).is_relative_to(self.root):
            return str(Path(path).relative_to(self.root)) + hash_sign + selection
        return uri


def local_directory(uri: str | os.PathLike[str]) -> Path:
    """Return the local directory of the campaign that `uri` names.

    Parameters
    ----------
    uri : str or path
        A path, or a URI.

    Returns
    -------
    pathlib.Path
        Absolute; it need not exist. Of a campaign that is kept at a URI, this machine's copy, brought up to date.

    Raises
    ------
    StorageError
        If what keeps it does not answer.
    """
    text = os.fspath(uri)
    scheme = _SCHEME.match(text)
    if scheme is not None:
        if scheme[1].lower() != "file":
            from stage.campaign.afar.copy import copy_for

            # A `Path` that was made of it has only one stroke.
            return copy_for(f"{scheme[1].lower()}://{text[scheme.end() :].lstrip('/')}").root
        text = unquote(urlsplit(text).path)
    return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 - keeps symbolic links as the user wrote them


def absolute_uri(uri: str) -> str:
    """Return a URI that still means the same from another directory.

    Parameters
    ----------
    uri : str
        A path, or a URI with a scheme; a ``#selection`` is kept.

    Returns
    -------
    str
        An absolute path, or the URI unchanged.
    """
    if "://" in uri:
        return uri
    path, hash_sign, selection = uri.partition("#")
    return str(local_directory(path)) + hash_sign + selection


def find_campaign(directory: str | os.PathLike[str] | None = None) -> Path:
    """Return the campaign directory that a command is about.

    Parameters
    ----------
    directory : str or path, optional
        As given by the user; then ``$STAGE_CAMPAIGN_DIR``, then the working directory.

    Returns
    -------
    pathlib.Path
        A directory with a state file.

    Raises
    ------
    NotFoundError
        If there is no campaign.
    """
    root = local_directory(directory or os.environ.get(DIRECTORY_VARIABLE) or Path.cwd())
    if not (root / STATE_FILE).is_file():
        from stage.campaign.unfinished import unfinished_error

        layout = Layout(root)
        if error := unfinished_error(layout):
            raise NotFoundError(error.message, code=error.code, hint=error.hint)
        raise NotFoundError(
            f"{layout.shown} is not a campaign directory: it has no {STATE_FILE}",
            code="not-a-campaign",
            hint="Go to one, give --campaign-dir, or make one with 'stage clone UPSTREAM DIR'.",
        )
    return root


def campaign_exists(layout: Layout) -> AlreadyExistsError:
    """Return the error of whoever would make a campaign where there is one.

    Parameters
    ----------
    layout : Layout
        Its paths.

    Returns
    -------
    AlreadyExistsError
        To be raised.
    """
    return AlreadyExistsError(
        f"{layout.root} is a campaign already", code="campaign-exists", hint="Change it with 'stage edit'."
    )
