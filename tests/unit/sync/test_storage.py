"""Storage classes and formatters by name, shipped ones and those of plugins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from registry.errors import IntegrityError, NotFoundError, UsageError
from registry.model.columns import Columns
from sync.storage import convert, decode, formatter, is_readable_as, storage_class, storage_classes


def test_each_storage_class_has_its_formatter() -> None:
    """No shipped storage class names a formatter that is not there."""
    found = storage_classes()

    assert len(found) >= 14
    for each in found:
        assert formatter(each.formatter).name == each.formatter
        assert storage_class(each.name) == each
        assert each.doc


def test_one_formatter_serves_a_process() -> None:
    """Formatters keep no state, so one instance is enough."""
    assert formatter("json") is formatter("json")


def test_unknown_names_offer_the_nearest() -> None:
    """A slip of the pen is answered with the name that was meant."""
    with pytest.raises(NotFoundError, match="no storage class 'Jsn'") as caught:
        storage_class("Jsn")
    assert "'Json'" in caught.value.hint
    for wrong, meant in (("parqet", "parquet"), ("jsn.zst", "json")):
        with pytest.raises(NotFoundError) as caught:
            formatter(wrong)
        assert meant in caught.value.hint


def test_class_decides_what_is_in_memory() -> None:
    """A table written by one class is read by the other: the artifact's formatter reads, the class adapts."""
    pa, pd = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    data = formatter("parquet").encode(pa.table({"a": [1, 2]}))

    assert isinstance(decode(data, "parquet", "ArrowTable", "x"), pa.Table)
    assert isinstance(decode(data, "parquet", "DataFrame", "x"), pd.DataFrame)


def test_a_table_is_read_as_columns_and_back() -> None:
    """Nulls stay what they are: no number that is not known becomes one."""
    pa = pytest.importorskip("pyarrow")
    data = formatter("parquet").encode(pa.table({"a": [1, 2], "b": [1.5, None], "c": ["x", "y"]}))
    columns = decode(data, "parquet", "Columns", "x")

    assert isinstance(columns, Columns)
    assert columns.rows() == [(1, 1.5, "x"), (2, None, "y")]
    assert convert(columns, "ArrowTable").equals(pa.table({"a": [1, 2], "b": [1.5, None], "c": ["x", "y"]}))
    assert formatter("parquet").encode(columns) == data


def test_a_class_says_what_it_can_be_read_from() -> None:
    """Tables as tables, plain values as plain values, and nothing across."""
    assert is_readable_as("ArrowTable", "Columns")
    assert is_readable_as("Yaml", "Json")
    assert is_readable_as("FitsImage", "FitsImage")
    assert not is_readable_as("Json", "Text")
    assert not is_readable_as("NumpyArray", "FitsImage")
    with pytest.raises(NotFoundError, match="no storage class 'Jsn'"):
        is_readable_as("Json", "Jsn")


def test_artifact_decides_how_it_is_read() -> None:
    """What was written compressed is read so, whatever the class writes now."""
    assert decode(formatter("json.zst").encode([1]), "json.zst", "Json", "x") == [1]


def test_damage_names_the_file() -> None:
    """The error of a damaged file says which file, and what it should have been."""
    with pytest.raises(IntegrityError, match=r"^/a/b\.json is not readable as 'json'") as caught:
        decode(b"{", "json", "Json", "/a/b.json")
    assert caught.value.hint


def test_mismatched_class_is_a_usage_error() -> None:
    """An object that a class cannot adapt names both types."""
    pytest.importorskip("pyarrow")
    with pytest.raises(UsageError, match=r"pyarrow\.Table.*not dict"):
        decode(b"{}", "json", "ArrowTable", "x")


PLUGIN = """
from sync.storage import StorageClass

class Reversed:
    name = "reversed"
    extension = ".rev"
    def encode(self, obj): return obj.encode()[::-1]
    def decode(self, data):
        if data == b"bad": raise KeyError("what is this")
        return data[::-1].decode()

CLASS = StorageClass("Reversed", "text written backwards", "reversed")
WRONG = "no storage class"
"""

ENTRY_POINTS = """
[stage.formatters]
reversed = my_plugin:Reversed
gone = my_plugin:Gone
[stage.storage_classes]
Reversed = my_plugin:CLASS
Wrong = my_plugin:WRONG
"""


def _run(folder: Path, code: str) -> Any:
    (folder / "my_plugin.py").write_text(PLUGIN)
    info = folder / "my_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    full = f"import sys; sys.path.append({str(folder)!r})\n{code}"
    return subprocess.run([sys.executable, "-c", full], capture_output=True, text=True, check=True).stdout


def test_plugins_are_found(tmp_path: Path) -> None:
    """An installed package's own formatter and storage class are used like shipped ones, compressed too."""
    code = (
        "from sync.fsspec_store import FsspecDatastore\n"
        f"store = FsspecDatastore({str(tmp_path / 'store')!r})\n"
        "artifact = store.put('abc', 'Reversed', 'x/y')\n"
        "print(artifact.uri, artifact.formatter, store.get(artifact, 'Reversed'), open(store.locate(artifact.uri)).read())\n"
        "from sync.storage import formatter, storage_classes\n"
        "print(formatter('reversed.zst').decode(formatter('reversed.zst').encode('abc')))\n"
    )

    assert _run(tmp_path, code).splitlines() == ["x/y.rev reversed abc cba", "abc"]


def test_broken_plugins_are_named(tmp_path: Path) -> None:
    """A plugin that cannot be loaded, is of the wrong type, or fails in its own way gives an error of ours."""
    code = (
        "from sync.storage import decode, formatter, storage_class\n"
        "for act in (lambda: formatter('gone'), lambda: storage_class('Wrong'),\n"
        "            lambda: decode(b'bad', 'reversed', 'Reversed', '/a/b.rev')):\n"
        "    try: act()\n"
        "    except Exception as exc: print(type(exc).__name__, exc.code, exc)\n"
    )

    lines = _run(tmp_path, code).splitlines()

    assert lines[0].startswith("UsageError bad-plugin entry point 'gone'")
    assert (
        lines[1]
        == "UsageError bad-plugin entry point 'Wrong' of group stage.storage_classes is a str, not a StorageClass"
    )
    assert lines[2].startswith("IntegrityError damaged-file /a/b.rev is not readable as 'reversed'")
