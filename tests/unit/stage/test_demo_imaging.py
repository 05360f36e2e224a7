"""The demonstration's image arithmetic, against images whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sep")
pytest.importorskip("astropy")

from stage.demo.imaging import (
    SkyGrid,
    detect_sources,
    fit_registration,
    fixed_pattern,
    pointing_wcs,
    stack,
    subtract_background,
)
from stage.demo.simulate import Survey, match_with_truth

RNG_SEED = 7


def test_fixed_pattern_is_found_under_a_moving_sky() -> None:
    """The median over frames with differing levels is the pattern they share."""
    rng = np.random.default_rng(RNG_SEED)
    pattern = rng.normal(0, 10, (40, 50)).astype(np.float32)
    frames = [pattern + level + rng.normal(0, 1, (40, 50)).astype(np.float32) for level in range(100, 115)]

    found = fixed_pattern(frames)

    assert np.std(found - (pattern - np.median(pattern))) < 0.5


def test_sources_are_found_where_they_are() -> None:
    """A star on a sloping background is measured at its position and flux."""
    yy, xx = np.mgrid[:128, :128]
    rng = np.random.default_rng(RNG_SEED)
    star = 5000 / (2 * np.pi * 1.5**2) * np.exp(-((xx - 60.3) ** 2 + (yy - 40.7) ** 2) / (2 * 1.5**2))
    image = (star + 200 + 0.1 * xx + rng.normal(0, 3, star.shape)).astype(np.float32)
    mask = np.zeros(image.shape, dtype=bool)

    flat, rms = subtract_background(image, mask, 32)
    found = detect_sources(flat, rms, 8.0, mask)

    assert pytest.approx(3.0, rel=0.1) == rms
    assert pytest.approx((60.3, 40.7), abs=0.1) == (found["x"][0], found["y"][0])
    assert pytest.approx(5000, rel=0.15) == found["flux"][0]


@pytest.mark.parametrize(("shift_x", "shift_y", "angle"), [(0, 0, 0.0), (-140, 60, 0.3), (90.5, -33.3, -0.2)])
def test_registration_recovers_shift_and_rotation(shift_x: float, shift_y: float, angle: float) -> None:
    """Stars shifted, turned, with false ones among them, lead back to the map that moved them."""
    rng = np.random.default_rng(RNG_SEED)
    expected = rng.uniform(0, 500, (300, 2))
    turn = np.radians(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found = (expected - [shift_x, shift_y]) @ np.linalg.inv(matrix).T + rng.normal(0, 0.1, expected.shape)
    found = np.concatenate([found[:200], rng.uniform(0, 500, (60, 2))])

    fit = fit_registration(found, expected, 200.0)

    assert fit is not None
    assert fit.n_matched >= 195
    assert np.allclose([shift_x, shift_y], fit.shift, atol=0.1)
    assert np.allclose(matrix, fit.matrix, atol=1e-3)


def test_unrelated_stars_do_not_register_well() -> None:
    """Stars that are not the reference's give no fit that a task would accept."""
    rng = np.random.default_rng(RNG_SEED)
    fit = fit_registration(rng.uniform(0, 500, (40, 2)), rng.uniform(0, 500, (40, 2)), 100.0)

    assert fit is None or fit.n_matched < 15


def test_corrected_astrometry_leads_to_the_true_place() -> None:
    """The corrected projection puts a found pixel where the guess puts the pixel that it should have been."""
    guess = pointing_wcs(150.0, 2.0, 2.0, (256, 256))
    rng = np.random.default_rng(RNG_SEED)
    expected = rng.uniform(0, 256, (80, 2))
    fit = fit_registration(expected + np.array([4.0, -7.0]), expected, 30.0)

    assert fit is not None
    true = guess.pixel_to_world_values(100.0, 100.0)
    assert np.allclose(true, fit.correct(guess).pixel_to_world_values(104.0, 93.0), atol=1e-7)


def test_stack_leaves_out_what_sticks_out() -> None:
    """A cosmic ray in one of six images does not reach the mean; holes are counted."""
    images = [np.full((5, 5), 10.0 + i * 0.1, dtype=np.float32) for i in range(6)]
    images[2][1, 1] = 5000
    images[0][3, 3] = np.nan

    mean, count = stack(images, 4.0)

    assert mean[1, 1] < 11
    assert 5 == count[1, 1]
    assert 5 == count[3, 3]
    assert 6 == count[0, 0]


def test_patches_share_one_projection() -> None:
    """A point in the overlap of two patches has one sky position and belongs to one patch."""
    grid = SkyGrid(150.0, 2.0, 2.0, 100, 10, 2, 2)
    ra, dec = grid.wcs(0).pixel_to_world_values(115.0, 50.0)
    x, y = grid.wcs(1).world_to_pixel_values(ra, dec)

    assert np.allclose((15.0, 50.0), (x, y), atol=1e-6)
    own = [grid.inner(np.array([px]), np.array([50.0]))[0] for px in (115.0, float(x))]
    assert [False, True] == own


def test_simulation_repeats_itself(tmp_path) -> None:
    """One seed, one survey: two simulations have the same bytes."""
    pytest.importorskip("pyarrow")
    small = Survey(n_stars=50, n_exposures=2, detector_size=64)
    for name in ("a", "b"):
        small.write(tmp_path / name)

    frames = [sorted((tmp_path / n / "raw").iterdir()) for n in ("a", "b")]
    assert 4 == len(frames[0])
    assert [f.read_bytes() for f in frames[0]] == [f.read_bytes() for f in frames[1]]


def test_matching_with_truth_counts_both_ways() -> None:
    """An entry without a star is not real; a star without an entry is not found."""
    truth = {"ra": np.array([150.0, 150.1]), "dec": np.array([2.0, 2.0])}
    catalogue = {"ra": np.array([150.0, 150.3]), "dec": np.array([2.0001, 2.0])}

    real, found, distance = match_with_truth(catalogue, truth, 2.0)

    assert [True, False] == real.tolist()
    assert [True, False] == found.tolist()
    assert pytest.approx(0.36, abs=0.01) == distance[0]
