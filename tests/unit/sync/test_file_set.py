"""File sets: several files as one dataset, whatever they are made from, and never outside their directory."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest

from registry.errors import IntegrityError, UsageError
from sync.checking import check_file
from sync.formatters.file_set import FileSet, FileSetFormatter
from sync.storage import decode, directory_formatter, formatter

CONTENTS: dict[str, bytes | str] = {"part.2.txt": "two", "part.1.txt": b"one", "deep/er/x.bin": b"\0" * 5000}


def archive(names: list[str], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive with these names, made by somebody else."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as made:
        for name in names:
            made.writestr(name, "x" * 100)
    return target.getvalue()


def test_equal_files_give_equal_bytes_from_memory_and_from_a_directory(tmp_path: Path) -> None:
    """Neither the order, nor times, nor how the set was made shows in the bytes."""
    made = FileSet.of(CONTENTS)
    made.extract(tmp_path / "d")
    writer = FileSetFormatter()
    writer.pack(tmp_path / "d", tmp_path / "d.zip")

    assert bytes(made) == (tmp_path / "d.zip").read_bytes()
    assert bytes(made) == writer.encode(tmp_path / "d") == writer.encode(dict(reversed(CONTENTS.items())))
    assert made == FileSet.of_directory(tmp_path / "d") == pickle.loads(pickle.dumps(made))
    assert hash(made) == hash(FileSet(bytes(made)))
    assert ["part.1.txt", "part.2.txt"] == list(FileSet.of_directory(tmp_path / "d", "part.*"))


def test_files_are_read_by_name() -> None:
    """A set lists its files in order, finds them by pattern, and names them when one is not there."""
    made = decode(bytes(FileSet.of(CONTENTS)), "fileset", "FileSet", "here")

    assert isinstance(made, FileSet)
    assert ["deep/er/x.bin", "part.1.txt", "part.2.txt"] == list(made)
    assert len(made) == 3
    assert "part.1.txt" in made
    assert ["part.1.txt", "part.2.txt"] == made.matching("part.*.txt")
    assert (made.text("part.2.txt"), made.read("part.1.txt")) == ("two", b"one")
    with pytest.raises(UsageError) as caught:
        made.read("part.3.txt")
    assert "part.1.txt, part.2.txt" in caught.value.hint


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "c:x", "a\\..\\x", "a//b", "./x"])
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    """No set is made with such a name, and none is read."""
    with pytest.raises(UsageError):
        FileSet.of({name: "x"})
    (tmp_path / "x.zip").write_bytes(archive(["ok", name]))
    with pytest.raises(IntegrityError):
        FileSetFormatter().unpack(tmp_path / "x.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"{}" * 50, archive(["a"], zipfile.ZIP_DEFLATED), archive(["a", "b"])[:-9]]
)
def test_what_is_no_set_is_refused(data: bytes, tmp_path: Path) -> None:
    """Damaged and compressed archives are told from sets, in memory and on disk."""
    with pytest.raises(IntegrityError):
        FileSet(data)
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(IntegrityError):
        check_file(tmp_path / "x.zip", "FileSet")


def test_only_sets_are_directories_to_scripts() -> None:
    """A formatter that packs and unpacks says so; contents other than text and bytes are refused."""
    assert directory_formatter("FileSet") is not None
    assert directory_formatter("File") is None
    with pytest.raises(UsageError) as caught:
        formatter("fileset").encode({"a": 3})
    assert "the content of 'a'" in str(caught.value)
    with pytest.raises(UsageError):
        formatter("fileset").encode(3)
