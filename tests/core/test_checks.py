"""Argument checks: what passes, what does not, and what the message says."""

import math
import re

import numpy as np
import pytest
import torch

from pydgd.core.checks import (
    as_float,
    require_broadcastable,
    require_choice,
    require_finite,
    require_positive_int,
    require_positive_number,
    require_range,
    require_same_shape,
)


@pytest.mark.parametrize("value", [1, 7, np.int64(3)])
def test_positive_integers_pass_as_python_integers(value: int) -> None:
    """NumPy's integers too, so that a configuration can be written as JSON."""
    assert type(require_positive_int("n", value)) is int


@pytest.mark.parametrize("value", [0, -1, 1.0, "3", True, None])
def test_other_values_are_no_positive_integers(value: object) -> None:
    """The message names argument and value."""
    with pytest.raises(ValueError, match=f"^n must be an integer of at least 1, got {value!r}$"):
        require_positive_int("n", value)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), torch.tensor(2), torch.tensor([2.0])])
def test_positive_numbers_pass_as_python_floats(value: object) -> None:
    """Whatever holds one number."""
    number = require_positive_number("r", value)
    assert type(number) is float
    assert number == 2.0


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, "2", True, None, [2.0], torch.ones(2)])
def test_other_values_are_no_positive_numbers(value: object) -> None:
    """The message names argument and value."""
    with pytest.raises(ValueError, match=re.escape(f"r must be a finite number > 0, got {value!r}")):
        require_positive_number("r", value)


@pytest.mark.parametrize("value", [["mean"], None, 3, {}])
def test_what_is_no_string_is_no_choice(value: object) -> None:
    """Also where it has no hash."""
    with pytest.raises(ValueError, match=re.escape(f"rule must be one of 'mean'; got {value!r}")):
        require_choice("rule", value, {"mean": 1})


def test_integers_become_the_default_float_and_floats_stay() -> None:
    """Nothing is rounded or copied without need."""
    x = torch.ones(2, dtype=torch.float64)
    assert as_float(x) is x
    assert as_float(torch.tensor([3])).dtype is torch.get_default_dtype()


def test_choice_lists_what_is_allowed() -> None:
    """A known name comes back, an unknown one raises."""
    assert require_choice("rule", "mean", {"mean": 1, "median": 2}) == "mean"
    with pytest.raises(ValueError, match="rule must be one of 'mean', 'median'; got 'mode'"):
        require_choice("rule", "mode", {"mean": 1, "median": 2})


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_values_in_range_pass(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """Any shape, also a scalar and nothing; integers and floats."""
    require_range("x", torch.zeros(shape, dtype=dtype))
    require_range("x", torch.ones(shape, dtype=dtype), positive=True)
    require_finite("x", -torch.ones(shape, dtype=dtype))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -1.0, 0.0])
def test_values_out_of_range_are_counted(value: float) -> None:
    """How many, of how many, and the first."""
    x = torch.tensor([[1.0, value], [2.0, value]])
    with pytest.raises(
        ValueError, match=f"x must be finite and > 0; 2 of 4 entries are not, the first is {value}"
    ):
        require_range("x", x, positive=True)


def test_not_finite_is_refused() -> None:
    """Negative is allowed, NaN is not."""
    with pytest.raises(ValueError, match="x must be finite; 1 of 2 entries are not, the first is nan"):
        require_finite("x", torch.tensor([-1.0, float("nan")]))


def test_shapes_are_compared_not_broadcast() -> None:
    """(1, 3) is not (2, 3)."""
    require_same_shape("a", torch.ones(2, 3), "b", torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"a must have the shape of b, \(2, 3\); got \(1, 3\)"):
        require_same_shape("a", torch.ones(1, 3), "b", torch.zeros(2, 3))


def test_broadcasting_is_allowed_where_it_works() -> None:
    """NumPy's rules; the message names all arguments and shapes."""
    require_broadcastable(k=torch.ones(2, 1), m=torch.ones(3), r=torch.ones(()))
    with pytest.raises(ValueError, match=r"k, m must broadcast together; got shapes \(2,\), \(3,\)"):
        require_broadcastable(k=torch.ones(2), m=torch.ones(3))
