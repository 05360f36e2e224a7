"""Files of data IDs: every form gives the same columns, and what is wrong is found where it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.errors import DataIdError, NotFoundError, UsageError
from registry.model.dimensions import default_universe
from sync.tables.data_ids import read_data_id_table

UNIVERSE = default_universe()
ROWS = [("HSC", 903342, 10), ("HSC", 903344, 11)]
NAMES = ("instrument", "visit", "detector")
OBJECTS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]

TEXTS = {
    "table.csv": "instrument,visit,detector\nHSC,903342,10\nHSC,903344,11\n",
    "spaces.csv": '\ufeffinstrument, visit, detector\r\n\r\n"HSC", 903342 , 10\r\nHSC,+903344,11',
    "table.tsv": "instrument\tvisit\tdetector\nHSC\t903342\t10\nHSC\t903344\t11\n",
    "no_suffix": "instrument,visit,detector\nHSC,903342,10\nHSC,903344,11\n",
    "spaces.ecsv": (
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: instrument, datatype: string}\n"
        "# - {name: visit, datatype: int64}\n# - {name: detector, datatype: int64}\n"
        'instrument visit detector\nHSC 903342 10\n"HSC" 903344 11\n'
    ),
    "commas.ecsv": (
        "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype: []\ninstrument,visit,detector\n"
        "HSC,903342,10\nHSC,903344,11\n"
    ),
    "lines.jsonl": "".join(json.dumps(o) + "\n" for o in OBJECTS),
    "list.json": json.dumps(OBJECTS, indent=2),
}


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_form_gives_the_same(name: str, tmp_path: Path) -> None:
    """Forms are told apart by their content; integers are integers."""
    (tmp_path / name).write_bytes(TEXTS[name].encode())
    found = read_data_id_table(tmp_path / name, UNIVERSE)

    assert NAMES == found.names
    assert found.rows() == ROWS


def test_parquet_gives_the_same(tmp_path: Path) -> None:
    """A Parquet file, also one with strings as a dictionary."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    columns = {n: [r[i] for r in ROWS] for i, n in enumerate(NAMES)}
    table = pa.table({**columns, "instrument": pa.array(columns["instrument"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "t.parquet")

    assert read_data_id_table(tmp_path / "t.parquet", UNIVERSE).rows() == ROWS


def test_ecsv_of_astropy_is_read(tmp_path: Path) -> None:
    """What astropy writes is understood without it."""
    tables = pytest.importorskip("astropy.table")
    tables.Table(rows=ROWS, names=NAMES).write(tmp_path / "t.ecsv", format="ascii.ecsv")

    assert read_data_id_table(tmp_path / "t.ecsv", UNIVERSE).rows() == ROWS


def test_what_query_writes_is_read(tmp_path: Path) -> None:
    """Implied dimensions are dimensions too: the answer to one query limits another."""
    (tmp_path / "t.json").write_text('[{"instrument": "HSC", "band": "r", "visit": 1}]')

    assert read_data_id_table(tmp_path / "t.json", UNIVERSE).rows() == [("HSC", "r", 1)]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("instrument,vist\nHSC,1\n", DataIdError, "column 'vist' is no dimension of universe"),
        ("visit,visit\n1,2\n", UsageError, "two columns are called 'visit'"),
        (
            "instrument,visit\nHSC,1\nHSC,x2\n",
            DataIdError,
            "t, line 3, column 'visit': visit='x2': expected an integer",
        ),
        (
            "instrument,visit\nHSC,1\n,2\n",
            DataIdError,
            "line 3, column 'instrument': instrument='': expected a non-empty",
        ),
        ("visit\n99999999999999999999\n", DataIdError, "line 2, column 'visit'"),
        ("visit\n1.0\n", DataIdError, "line 2, column 'visit': visit='1.0': expected an integer"),
        (
            "instrument,visit\nHSC,1,5\n",
            UsageError,
            "t, line 2, column 3: '5' has no name in the first line (3 values for 2 columns)",
        ),
        ('visit,instrument\n1,"HSC\n', UsageError, "t, line 2: unexpected end of data"),
        ("", UsageError, "t is empty"),
        ("[]", UsageError, "t is empty"),
        ('{"visit": 1}\n{"visti": 2}\n', UsageError, "t, line 2: expected an object with visit"),
        ('{"visit": 1}\n{"visit": }\n', UsageError, "t, line 2: no JSON"),
        ('[{"visit": 1}, 5]', UsageError, "t, row 2: expected an object with visit"),
        ('[{"visit": null}]', DataIdError, "t, row 1, column 'visit': visit=None: expected an integer"),
        ('[{"visit": true}]', DataIdError, "row 1, column 'visit': visit=True"),
        ("# %ECSV 1.0\n# ---\n# delimiter: '::'\nvisit\n1\n", UsageError, "'::' is not one character"),
        (
            "# %ECSV 1.0\n# ---\ninstrument visit\nHSC 1 7\n",
            UsageError,
            "t, line 4, column 3: '7' has no name in the first line",
        ),
    ],
)
def test_what_is_wrong_is_found_where_it_stands(
    text: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    """File, line and column are named."""
    (tmp_path / "t").write_text(text)

    with pytest.raises(error) as found:
        read_data_id_table(tmp_path / "t", UNIVERSE)
    assert message in str(found.value)


def test_bytes_are_no_table(tmp_path: Path) -> None:
    """A picture is refused by name, and so is a Parquet file that was cut."""
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    (tmp_path / "cut").write_bytes(b"PAR1 and no more")

    with pytest.raises(UsageError, match="picture, line 1: neither Parquet nor text"):
        read_data_id_table(tmp_path / "picture", UNIVERSE)
    pytest.importorskip("pyarrow")
    with pytest.raises(UsageError, match="cut is no Parquet table"):
        read_data_id_table(tmp_path / "cut", UNIVERSE)
    with pytest.raises(NotFoundError):
        read_data_id_table(tmp_path / "none", UNIVERSE)


def test_a_header_alone_is_a_table_of_nothing(tmp_path: Path) -> None:
    """No row is no data ID, and not all of them."""
    (tmp_path / "t.csv").write_text("instrument,visit\n")
    found = read_data_id_table(tmp_path / "t.csv", UNIVERSE)

    assert (("instrument", "visit"), 0) == (found.names, found.n_rows)
