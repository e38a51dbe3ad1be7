# SPDX-License-Identifier: BSD-3-Clause
"""Counts, means and r as every function of the room takes them."""

import numpy as np
import pytest

from pydgd.stats.arguments import BLOCK, LARGEST, SMALLEST_R, broadcast_arguments, in_blocks


def test_arguments_share_a_shape_and_float64() -> None:
    """A column of counts, a row of means and one r."""
    k, mu, inverse_r = broadcast_arguments([[1], [2]], np.array([3.0, 4.0], dtype=np.float32), 4)
    assert k.tolist() == [[1, 1], [2, 2]]
    assert mu.tolist() == [[3, 4], [3, 4]]
    assert inverse_r.tolist() == [[0.25, 0.25], [0.25, 0.25]]
    assert {array.dtype for array in (k, mu, inverse_r)} == {np.dtype(np.float64)}


def test_no_r_and_infinite_r_are_poisson() -> None:
    """1/r is 0; of r too small it is finite, and so is its square."""
    assert broadcast_arguments(1, 1.0, None)[2] == 0
    assert broadcast_arguments(1, 1.0, np.inf)[2] == 0
    assert broadcast_arguments(1, 1.0, 1e-300)[2] == 1 / SMALLEST_R
    assert np.isfinite(broadcast_arguments(1, 1.0, 5e-324)[2] ** 2)
    assert broadcast_arguments(1, 1.0, 1e-99)[2] == pytest.approx(1e99)


@pytest.mark.parametrize("name", ["counts", "mu"])
@pytest.mark.parametrize("value", [-1.0, -1e-300, np.nan, np.inf, 2.0**53])
def test_values_out_of_range_are_named(name: str, value: float) -> None:
    """Whatever the shape, the first of them."""
    arguments = {"counts": [[0.0, 1.0]], "mu": [[0.0, 1.0]], name: [[3.0, value]]}
    with pytest.raises(ValueError, match=rf"^{name} has the value {value!r}; allowed are values >= 0"):
        broadcast_arguments(arguments["counts"], arguments["mu"], 1.0)


def test_the_edges_of_the_range_are_allowed() -> None:
    """0 and the last whole number that float64 tells from the next."""
    k, mu, _ = broadcast_arguments([0, LARGEST], [LARGEST, 0.0], 1.0)
    assert LARGEST + 1 == 2**53
    assert k.tolist() == [0, LARGEST]
    assert mu.tolist() == [LARGEST, 0]


def test_fractions_are_no_counts() -> None:
    """They are of means."""
    with pytest.raises(ValueError, match=r"counts has the value 2\.5; allowed are whole numbers"):
        broadcast_arguments([1.0, 2.5, 3.5], 1.0, 1.0)
    assert broadcast_arguments([1.0], 2.5, 1.0)[1] == 2.5


@pytest.mark.parametrize("r", [0.0, -2.0, np.nan])
def test_impossible_r_is_named(r: float) -> None:
    """The logarithm of r, which may be negative, is the usual mistake."""
    with pytest.raises(ValueError, match=rf"^r has the value {r}; allowed is any r > 0, .*logarithm"):
        broadcast_arguments([1, 1], 1.0, [1.0, r])


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    """By numpy."""
    with pytest.raises(ValueError, match="broadcast"):
        broadcast_arguments([1, 2], [1.0, 2.0, 3.0], None)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5,), (3, BLOCK // 2), (BLOCK,), (BLOCK + 1,)])
def test_blocks_are_put_together_again(shape: tuple[int, ...]) -> None:
    """Each element once, at its place, in the type asked for, and never more than a block at a time."""
    x = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    sizes = []

    def function(a, b):
        sizes.append(a.size)
        return a + b, a > 3

    total, large = in_blocks(function, (x, np.asarray(2 * x)), (float, bool))
    np.testing.assert_array_equal(total, 3 * x)
    np.testing.assert_array_equal(large, x > 3)
    assert (total.shape, total.dtype, large.dtype) == (shape, np.float64, bool)
    assert sum(sizes) == x.size
    assert max(sizes, default=0) <= BLOCK
    assert len(sizes) == -(-x.size // BLOCK)


def test_each_type_has_its_result() -> None:
    """A function that gives fewer results than types is an error."""
    with pytest.raises(ValueError, match="zip"):
        in_blocks(lambda x: (x,), (np.ones(3),), (float, bool))
