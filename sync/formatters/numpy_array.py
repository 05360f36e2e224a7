"""NumPy arrays as ``.npy`` files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from sync.formatters.base import reading, writing, wrong_type

__all__ = ["NumpyFormatter"]


class NumpyFormatter:
    """One array; never with Python objects in it, for those would be pickled."""

    name = "npy"
    extension = ".npy"

    def encode(self, obj: object) -> bytes:
        """Return a ``.npy`` file.

        Parameters
        ----------
        obj : object
            An array, also a structured one, or a NumPy scalar.

        Returns
        -------
        bytes
            The file.

        Raises
        ------
        UsageError
            If it is none, or holds Python objects.
        """
        if not isinstance(obj, np.ndarray | np.generic):
            raise wrong_type(self.name, "numpy.ndarray", obj)
        stream = io.BytesIO()
        with writing(self.name, obj):
            np.lib.format.write_array(stream, np.asanyarray(obj), allow_pickle=False)
        return stream.getvalue()

    def decode(self, data: bytes) -> object:
        """Read a ``.npy`` file.

        Parameters
        ----------
        data : bytes
            The file.

        Returns
        -------
        numpy.ndarray
            The array.

        Raises
        ------
        IntegrityError
            If it is no such file, or would have to be unpickled.
        """
        with reading(self.name):
            return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)

    def check(self, path: str) -> None:
        """See whether a file is an array of the length that its header says.

        Parameters
        ----------
        path : str
            A local file.

        Raises
        ------
        IntegrityError
            If it is not.
        """
        with reading(self.name):
            # Mapped, not read: what is too short for its header cannot be mapped.
            mapped = np.lib.format.open_memmap(path, mode="r") if Path(path).stat().st_size else None
            if mapped is None:
                raise ValueError("the file is empty")
