"""Names of upstream's files below a campaign's own root: the way there and back."""

from __future__ import annotations

import pytest

from registry.errors import UsageError
from sync.fetching.places import Places

ROOT = "/data/shared/data"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        (f"{ROOT}/CAM/raw/raw_1.fits", "CAM/raw/raw_1.fits"),
        ("/archive/2026/x.fits", ".elsewhere/file/archive/2026/x.fits"),
        ("s3://bucket/raw/x.fits", ".elsewhere/s3/bucket/raw/x.fits"),
        (f"{ROOT}2/x.fits", ".elsewhere/file/data/shared/data2/x.fits"),
    ],
)
def test_a_name_leads_back(uri: str, name: str) -> None:
    """What is below upstream's root keeps its path, all else gets one from its URI, and both lead back to the URI."""
    places = Places(ROOT)

    assert places.name(uri) == name
    assert places.names([uri]) == [name]
    assert places.origin(name) == uri


def test_a_store_is_a_root_too() -> None:
    """Objects below a bucket's prefix keep their keys."""
    places = Places("s3://bucket/shared/")

    assert places.name("s3://bucket/shared/CAM/x") == "CAM/x"
    assert places.origin("CAM/x") == "s3://bucket/shared/CAM/x"


@pytest.mark.parametrize(
    "uri", [f"{ROOT}/../x", f"{ROOT}/a/../../x", "/archive/../etc/x", f"{ROOT}//x", f"{ROOT}/a/./x"]
)
def test_what_could_leave_has_no_name(uri: str) -> None:
    """A part ``..``, or an empty one, in a recorded URI gives no name, one by one and in bulk."""
    places = Places(ROOT)

    assert places.name_or_none(uri) is None
    with pytest.raises(UsageError, match="no local name"):
        places.names([uri])
