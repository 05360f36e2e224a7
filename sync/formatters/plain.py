"""Forms that need no library of science: JSON, YAML, text, bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sync.formatters.base import reading, writing, wrong_type

__all__ = ["BytesFormatter", "FileFormatter", "JsonFormatter", "TextFormatter", "YamlFormatter"]

_PLAIN = (dict, list, tuple, str, int, float, type(None))
_PLAIN_NAMES = "a dict, list, str, number, bool or None"


def _from_numpy(value: Any) -> Any:
    """Turn NumPy scalars and arrays into Python's own, without loading NumPy."""
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"it holds {value!r:.60} of type {type(value).__name__}")


_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_from_numpy)
_decoder = json.JSONDecoder()


class JsonFormatter:
    """Compact JSON with sorted keys: equal objects give equal bytes.

    NumPy scalars and arrays are written as numbers and lists. Numbers that JSON lacks are written as the words
    ``NaN``, ``Infinity`` and ``-Infinity``, which Python and most readers take: one undefined figure in a summary
    is no reason to lose the result of a run. Tuples come back as lists, and keys as strings.
    """

    name = "json"
    extension = ".json"

    def encode(self, obj: object) -> bytes:
        """Return JSON.

        Parameters
        ----------
        obj : object
            A dict, list, string, number, bool or None.

        Returns
        -------
        bytes
            UTF-8.

        Raises
        ------
        UsageError
            If it holds something that JSON cannot.
        """
        if not isinstance(obj, _PLAIN) and type(obj).__module__ != "numpy":
            raise wrong_type(self.name, _PLAIN_NAMES, obj)
        with writing(self.name, obj):
            return _encoder.encode(obj).encode()

    def decode(self, data: bytes) -> object:
        """Read JSON.

        Parameters
        ----------
        data : bytes
            UTF-8.

        Returns
        -------
        object
            The value.

        Raises
        ------
        IntegrityError
            If it is not JSON.
        """
        with reading(self.name):
            return _decoder.decode(data.decode())


class YamlFormatter:
    """YAML of plain values, in the order in which they come."""

    name = "yaml"
    extension = ".yaml"

    def encode(self, obj: object) -> bytes:
        """Return YAML.

        Parameters
        ----------
        obj : object
            A dict, list, string, number, bool or None.

        Returns
        -------
        bytes
            UTF-8.

        Raises
        ------
        UsageError
            If it holds something else.
        """
        import yaml

        if not isinstance(obj, _PLAIN):
            raise wrong_type(self.name, _PLAIN_NAMES, obj)
        with writing(self.name, obj):
            return yaml.safe_dump(_plain_copy(obj), sort_keys=False, allow_unicode=True).encode()

    def decode(self, data: bytes) -> object:
        """Read YAML; no object but plain values is ever made from it.

        Parameters
        ----------
        data : bytes
            UTF-8.

        Returns
        -------
        object
            The value.

        Raises
        ------
        IntegrityError
            If it is not YAML.
        """
        import yaml

        with reading(self.name):
            return yaml.safe_load(data.decode())


def _plain_copy(value: Any) -> Any:
    """Replace tuples and NumPy values, which YAML's safe writer refuses."""
    if isinstance(value, dict):
        return {k: _plain_copy(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_copy(v) for v in value]
    return _from_numpy(value) if type(value).__module__.partition(".")[0] == "numpy" else value


class TextFormatter:
    """Text in UTF-8, exactly as it is."""

    name = "text"
    extension = ".txt"

    def encode(self, obj: object) -> bytes:
        """Return UTF-8.

        Parameters
        ----------
        obj : object
            A string.

        Returns
        -------
        bytes
            The text.

        Raises
        ------
        UsageError
            If it is none.
        """
        if not isinstance(obj, str):
            raise wrong_type(self.name, "str", obj)
        # A log may hold bytes that were no text; they must not lose the rest of it.
        return obj.encode(errors="surrogateescape")

    def decode(self, data: bytes) -> object:
        """Read UTF-8.

        Parameters
        ----------
        data : bytes
            The text; what is no UTF-8 in it is kept, as `os.fsdecode` does.

        Returns
        -------
        str
            The text.
        """
        return data.decode(errors="surrogateescape")


class BytesFormatter:
    """Bytes as they are."""

    name = "bytes"
    extension = ".bin"

    def encode(self, obj: object) -> bytes:
        """Return the bytes.

        Parameters
        ----------
        obj : object
            Bytes, or what has a buffer of them.

        Returns
        -------
        bytes
            The same.

        Raises
        ------
        UsageError
            If it is neither.
        """
        if isinstance(obj, bytes):
            return obj
        if isinstance(obj, bytearray | memoryview):
            return bytes(obj)
        raise wrong_type(self.name, "bytes", obj)

    def decode(self, data: bytes) -> object:
        """Return the bytes.

        Parameters
        ----------
        data : bytes
            The file.

        Returns
        -------
        bytes
            The same.
        """
        return data


class FileFormatter:
    """A file of a form that is its user's own business; read as bytes."""

    name = "file"
    extension = ""

    def encode(self, obj: object) -> bytes:
        """Return the content of a file.

        Parameters
        ----------
        obj : object
            Its bytes, or its path as a `pathlib.Path`.

        Returns
        -------
        bytes
            The content.

        Raises
        ------
        UsageError
            If it is neither, or the file cannot be read.
        """
        if isinstance(obj, Path):
            with writing(self.name, obj):
                return obj.read_bytes()
        if isinstance(obj, bytes | bytearray | memoryview):
            return bytes(obj)
        raise wrong_type(self.name, "bytes or a pathlib.Path", obj)

    def decode(self, data: bytes) -> object:
        """Return the content of a file.

        Parameters
        ----------
        data : bytes
            The file.

        Returns
        -------
        bytes
            The same.
        """
        return data
