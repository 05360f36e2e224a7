"""Formatters: what was written is read, what is wrong is named."""

from __future__ import annotations

import gzip
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import IntegrityError, UsageError
from sync.formatters.fits import Image
from sync.storage import formatter


def _table() -> Any:
    pa = pytest.importorskip("pyarrow")
    return pa.table({"id": [1, 2, None], "name": ["a", None, "c"], "flux": [1.5, math.inf, -0.0]})


def _frame() -> Any:
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}, index=pd.Index([7, 9], name="key"))


def _astro_table() -> Any:
    table = pytest.importorskip("astropy.table")
    return table.Table({"id": [1, 2], "flux": [0.5, np.nan], "name": ["a", "bc"]})


SAMPLES: list[tuple[str, Any]] = [
    ("json", {"b": 1, "a": [1.5, "x", None, True, {"ü": -3}]}),
    ("yaml", {"b": 1, "a": [1.5, "x", None, True, {"ü": -3}]}),
    ("text", "line\nΩ\r\n\0end"),
    ("bytes", bytes(range(256))),
    ("file", b"opaque"),
]


@pytest.mark.parametrize("suffix", ["", ".zst"])
@pytest.mark.parametrize(("name", "value"), SAMPLES)
def test_what_was_written_is_read(name: str, value: Any, suffix: str) -> None:
    """Each plain form gives back what it was given, compressed or not."""
    chosen = formatter(name + suffix)

    assert value == chosen.decode(chosen.encode(value))
    assert name + suffix == chosen.name
    assert chosen.extension.endswith(suffix)


ARRAYS = [
    np.arange(12, dtype=np.int16).reshape(3, 4),
    np.array([1.5, np.nan, -np.inf]),
    np.array([True, False]),
    np.array([], dtype=np.float32),
    np.array(3.5),
    np.array([(1, 2.5, b"ab")], dtype=[("a", "<i4"), ("b", ">f8"), ("c", "S2")]),
    np.asfortranarray(np.ones((2, 3))),
    np.array(["2014-03-25T09:34:19.634"], dtype="datetime64[ns]"),
]


@pytest.mark.parametrize("name", ["npy", "npy.zst"])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays(array: Any, name: str) -> None:
    """Arrays come back with type, shape and values, and can be written to."""
    chosen = formatter(name)

    found: Any = chosen.decode(chosen.encode(array))

    assert array.dtype == found.dtype
    np.testing.assert_array_equal(array, found)
    assert found.flags.writeable


def test_tables() -> None:
    """A table comes back with its schema, nulls included, also from a frame with an index."""
    chosen = formatter("parquet")
    table, frame = _table(), _frame()

    assert table.equals(chosen.decode(chosen.encode(table)))
    back: Any = chosen.decode(chosen.encode(frame))
    assert frame.equals(back.to_pandas())


def test_astro_tables() -> None:
    """An astropy table comes back from FITS."""
    chosen, table = formatter("fits-table"), _astro_table()

    found: Any = chosen.decode(chosen.encode(table))

    assert table.colnames == found.colnames
    assert list(table["name"]) == [str(n) for n in found["name"]]
    np.testing.assert_array_equal(table["flux"], found["flux"])


class TestJson:
    def test_equal_objects_give_equal_bytes(self) -> None:
        """Neither the order of keys nor spaces make a difference."""
        encode = formatter("json").encode

        assert encode({"a": 1, "b": 2}) == encode({"b": 2, "a": 1}) == b'{"a":1,"b":2}'

    def test_numpy_values_are_taken(self) -> None:
        """Scalars and arrays of NumPy are written as numbers and lists."""
        chosen = formatter("json")
        value = {
            "f": np.float32(0.5),
            "i": np.int64(3),
            "b": np.bool_(True),
            "a": np.arange(3),
            "d": np.float64(2),
        }

        assert chosen.decode(chosen.encode(value)) == {"f": 0.5, "i": 3, "b": True, "a": [0, 1, 2], "d": 2.0}
        assert chosen.decode(chosen.encode(np.float32(1.5))) == 1.5

    def test_undefined_numbers_are_kept(self) -> None:
        """NaN and infinity are written as words and read back."""
        chosen = formatter("json")

        data = chosen.encode({"n": math.nan, "i": -math.inf})
        found: Any = chosen.decode(data)

        assert data == b'{"i":-Infinity,"n":NaN}'
        assert math.isnan(found["n"])
        assert found["i"] == -math.inf

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
            max_leaves=12,
        )
    )
    def test_any_plain_value(self, value: Any) -> None:
        """Whatever JSON can hold comes back, plain and compressed."""
        for name in ("json", "json.zst"):
            chosen = formatter(name)
            assert value == chosen.decode(chosen.encode(value))

    def test_what_it_cannot_hold_is_named(self) -> None:
        """An object inside that JSON lacks is shown with its type."""
        with pytest.raises(UsageError, match="of type set") as caught:
            formatter("json").encode({"a": {1, 2}})
        assert caught.value.code == "not-writable"

    def test_a_cycle_is_an_error(self) -> None:
        """A list that holds itself cannot be written, and does not hang."""
        loop: list[Any] = []
        loop.append(loop)

        for name in ("json", "yaml"):
            with pytest.raises(UsageError):
                formatter(name).encode(loop)


class TestWrongType:
    @pytest.mark.parametrize(
        ("name", "value", "takes"),
        [
            ("json", object(), "dict"),
            ("yaml", {1}, "dict"),
            ("text", b"x", "str"),
            ("bytes", "x", "bytes"),
            ("file", 1, "Path"),
            ("npy", [1, 2], "numpy.ndarray"),
            ("parquet", {"a": [1]}, "pyarrow.Table"),
            ("fits", "x", "Image"),
            ("fits-table", {"a": [1]}, "astropy.table.Table"),
            ("text.zst", 3, "str"),
        ],
    )
    def test_names_both_types(self, name: str, value: Any, takes: str) -> None:
        """What a formatter takes and what it was given are both in the message."""
        with pytest.raises(UsageError, match=f"(?s){takes}.*, not .*{type(value).__name__}") as caught:
            formatter(name).encode(value)
        assert caught.value.code == "wrong-type"
        assert caught.value.hint

    def test_python_objects_are_never_pickled(self) -> None:
        """An array of objects is refused rather than pickled, and a pickled one is not read."""
        import io

        with pytest.raises(UsageError):
            formatter("npy").encode(np.array([object()]))
        stream = io.BytesIO()
        np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(IntegrityError):
            formatter("npy").decode(stream.getvalue())


def _good(name: str) -> bytes:
    plain = name.removesuffix(".zst")
    samples = {
        **dict(SAMPLES),
        "npy": np.arange(5000.0),
        "fits": Image(np.arange(9000.0).reshape(90, 100), {"A": 1}),
    }
    value = (
        {"parquet": _table, "fits-table": _astro_table}[plain]() if plain not in samples else samples[plain]
    )
    return formatter(name).encode(value)


class TestDamage:
    @pytest.mark.parametrize(
        "name", ["json", "npy", "parquet", "fits", "fits-table", "text.zst", "json.zst", "npy.zst"]
    )
    @pytest.mark.parametrize("harm", ["empty", "cut", "garbage"])
    def test_damaged_files_are_named(self, name: str, harm: str) -> None:
        """A file that is empty, cut short or something else is an IntegrityError, never another one."""
        good = _good(name)
        bad = {"empty": b"", "cut": good[: len(good) // 2], "garbage": b"\x00\xffgarbage" * 40}[harm]

        with pytest.raises(IntegrityError) as caught:
            formatter(name).decode(bad)
        assert caught.value.code == "damaged-file"

    def test_bad_yaml(self) -> None:
        """YAML that is none, or that would make objects, is refused."""
        for bad in (b"a: [1", b"!!python/object/apply:os.system ['true']", b"\xff\xfe\xfd"):
            with pytest.raises(IntegrityError):
                formatter("yaml").decode(bad)

    def test_several_zstd_frames_are_one_file(self) -> None:
        """Frames one after another are read as the format says, whether they tell their size or not."""
        import zstandard

        stream = zstandard.ZstdCompressor().compressobj()
        parts = zstandard.compress(b'{"a":') + stream.compress(b"1}") + stream.flush()

        assert formatter("json.zst").decode(parts) == {"a": 1}


class TestFitsImage:
    def test_planes_and_header_come_back(self) -> None:
        """Pixels, header words in order, mask and variance survive a round trip in native byte order."""
        chosen = formatter("fits")
        header = {
            "OBJECT": "HAT-P-32",
            "EXPTIME": 60.0,
            "SEQ": 3,
            "GOOD": True,
            "UNKNOWN": None,
            "COMMENT": "one\ntwo",
            "HISTORY": "made\nchanged",
            "A LONG KEYWORD": 1.25,
            "LONGTEXT": "x" * 200,
        }
        data = np.arange(12, dtype=np.float32).reshape(3, 4)
        image = Image(data, header, mask=data.astype(np.int32) % 2, variance=data + 1)

        found = chosen.decode(chosen.encode(image))

        assert isinstance(found, Image)
        np.testing.assert_array_equal(data, found.data)
        assert found.data.dtype == np.dtype(np.float32)
        assert found.data.dtype.isnative
        assert found.mask is not None
        assert found.variance is not None
        np.testing.assert_array_equal(image.mask, found.mask)
        np.testing.assert_array_equal(image.variance, found.variance)
        assert header.items() <= found.header.items()
        assert [k for k in found.header if k in header] == list(header)

    def test_header_survives_being_written_again(self) -> None:
        """Reading and writing again changes nothing: structural words are made anew, not doubled."""
        chosen = formatter("fits")
        once: Any = chosen.decode(chosen.encode(Image(np.zeros((2, 3), np.int16), {"A": 1})))

        twice: Any = chosen.decode(chosen.encode(Image(np.zeros((5, 6), np.float64), once.header)))

        assert twice.data.shape == (5, 6)
        assert twice.header["NAXIS1"] == 6
        assert twice.header["A"] == 1

    @pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8", ">f4", "bool"])
    def test_pixel_types(self, kind: str) -> None:
        """Each numeric type comes back with its values; booleans come back as bytes."""
        chosen = formatter("fits")
        data = np.array([[0, 1], [1, 0]]).astype(kind)

        found: Any = chosen.decode(chosen.encode(Image(data, {})))

        expected = np.dtype("u1") if kind == "bool" else data.dtype.newbyteorder("=")
        assert expected == found.data.dtype
        np.testing.assert_array_equal(data, found.data)

    def test_undefined_numbers_have_no_value(self) -> None:
        """A header word that is NaN is written without a value: a figure that failed does not lose the image."""
        chosen = formatter("fits")

        found: Any = chosen.decode(
            chosen.encode(Image(np.zeros((2, 2)), {"SEEING": math.nan, "N": np.int32(4)}))
        )

        assert found.header["SEEING"] is None
        assert found.header["N"] == 4

    @pytest.mark.parametrize("value", [[1, 2], {"a": 1}, "naïve", "two\nlines"])
    def test_a_header_word_that_fits_cannot_hold(self, value: Any) -> None:
        """What a header cannot hold is refused before anything is written."""
        with pytest.raises(UsageError):
            formatter("fits").encode(Image(np.zeros((2, 2)), {"BAD": value}))

    def test_planes_must_have_the_image_s_shape(self) -> None:
        """A mask of another shape is a mistake that is told at once."""
        with pytest.raises(UsageError, match=r"\(1, 2\).*\(2, 2\)"):
            formatter("fits").encode(Image(np.zeros((2, 2)), {}, mask=np.zeros((1, 2), np.int32)))

    def test_array_alone(self) -> None:
        """An array is an image without a header of its own."""
        chosen = formatter("fits")

        found: Any = chosen.decode(chosen.encode(np.ones((2, 2), np.float32)))

        assert found.mask is None
        np.testing.assert_array_equal(np.ones((2, 2)), found.data)

    def test_packed_files_are_unpacked(self) -> None:
        """A gzip file is known by its content, whatever its name; a cut one is damaged."""
        packed = gzip.compress(_good("fits"))

        found: Any = formatter("fits").decode(packed)

        assert found.header["A"] == 1
        with pytest.raises(IntegrityError):
            formatter("fits").decode(packed[: len(packed) // 2])

    def test_file_without_an_image(self) -> None:
        """A table is no image, and an image no table; each says what it lacks."""
        with pytest.raises(IntegrityError, match="no image"):
            formatter("fits").decode(_good("fits-table"))
        with pytest.raises(IntegrityError, match="no table"):
            formatter("fits-table").decode(_good("fits"))

    def test_real_raw_frames(self, shared: Path) -> None:
        """Raw frames of a telescope are read as they are: pixels, and the header in its order."""
        frames = sorted((shared / "data" / "real-images" / "microobs-hatp32").glob("*.FITS.gz"))

        image: Any = formatter("fits").decode(frames[0].read_bytes())

        assert image.data.shape in {(500, 650), (650, 500)}
        assert image.data.dtype == np.int16
        assert 0 < image.data.mean() < 4096
        assert image.header["IM_SCALE"] == pytest.approx(5.21, abs=0.01)
        again: Any = formatter("fits").decode(formatter("fits").encode(image))
        np.testing.assert_array_equal(image.data, again.data)
        assert {
            k: v for k, v in image.header.items() if k not in {"BZERO", "BSCALE"}
        }.items() <= again.header.items()

    def test_real_frames_with_an_extension(self, shared: Path) -> None:
        """Cut-outs of a mosaic camera are read, floats in native byte order."""
        found = sorted((shared / "data" / "real-images" / "decam-small").rglob("*_ooi_*.fits*"))

        image: Any = formatter("fits").decode(found[0].read_bytes())

        assert image.data.ndim == 2
        assert image.data.dtype.isnative


def test_missing_extra_says_which() -> None:
    """Without pyarrow or astropy the error says what to install, and nothing else breaks."""
    code = (
        "import sys\n"
        "sys.modules['pyarrow'] = sys.modules['astropy'] = sys.modules['astropy.io'] = None\n"
        "from sync.storage import formatter\n"
        "for name in ('parquet', 'fits', 'fits-table'):\n"
        "    try: formatter(name).decode(b'')\n"
        "    except Exception as exc: print(type(exc).__name__, exc.code, exc.hint)\n"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.splitlines() == [
        "UsageError missing-extra Install it: pip install 'stage[arrow]'",
        "UsageError missing-extra Install it: pip install 'stage[astro]'",
        "UsageError missing-extra Install it: pip install 'stage[astro]'",
    ]
