# SPDX-License-Identifier: BSD-3-Clause
"""Packed numbers, unpacked as the page does it."""

import base64
import gzip

import numpy as np
import pytest

from pydgd.report.packing import packed


def unpacked(text: str, n_columns: int) -> np.ndarray:
    planes = np.frombuffer(gzip.decompress(base64.b64decode(text)), dtype=np.uint8).reshape(4, -1)
    return planes.T.copy().view("<f4").reshape(n_columns, -1).astype(float)


@pytest.mark.parametrize("bits", [9, 12, 15, 23])
def test_numbers_keep_the_digits_that_were_asked_for(bits) -> None:
    """Whatever their size and sign, right to one part in 2^(bits+1)."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1, 5_000)) * 10.0 ** rng.uniform(-30, 30, size=(1, 5_000))
    np.testing.assert_allclose(
        unpacked(packed(values, bits=(bits,)), 1), values, rtol=2.0 ** -(bits + 1) * 1.001
    )


def test_missing_numbers_and_zero_stay() -> None:
    """Also beside each other, in several columns."""
    values = np.array([[np.nan, 0.0, 1.0], [-0.5, np.nan, 2.0]])
    np.testing.assert_array_equal(unpacked(packed(values, bits=(23, 9)), 2), values)


def test_reads_stay_to_the_last_one() -> None:
    """Up to what float32 can count."""
    values = np.array([[0.0, 1.0, 123_457.0, 16_777_216.0]])
    np.testing.assert_array_equal(unpacked(packed(values, bits=(23,)), 1), values)


def test_the_same_numbers_give_the_same_text() -> None:
    """No time is in it."""
    values = np.arange(12.0).reshape(2, 6)
    assert packed(values, bits=(12, 12)) == packed(values, bits=(12, 12))


@pytest.mark.parametrize("edge", [1.0, 1.3, float(np.nextafter(1.0, 2.0))])
def test_no_number_is_rounded_across_an_edge(edge) -> None:
    """What a threshold calls is called after rounding too, and nothing else; it stays as close."""
    rng = np.random.default_rng(0)
    near = edge * (1 + rng.normal(size=5_000) * 1e-4) * rng.choice([-1, 1], 5_000)
    values = np.concatenate([near, [edge, -edge, 1.0, 0.0, np.nan]])[None]
    plain = unpacked(packed(values, bits=(12,)), 1)
    assert ((np.abs(plain) >= edge) != (np.abs(values) >= edge)).any()
    found = unpacked(packed(values, bits=(12,), edges=(edge,)), 1)
    np.testing.assert_array_equal(np.abs(found) >= edge, np.abs(values) >= edge)
    np.testing.assert_allclose(found, values, rtol=2.0**-12)
