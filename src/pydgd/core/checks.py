# SPDX-License-Identifier: BSD-3-Clause
"""Argument checks of the core's public edge: a `ValueError` with name, value received and what is allowed."""

import math
from collections.abc import Collection
from numbers import Integral, Real

import torch
from jaxtyping import Float, Num
from torch import Tensor


def require_positive_int(name: str, value: object) -> int:
    """Return `value` as an ``int``, or raise.

    Args:
        name: The argument's name, for the message.
        value: What the caller gave; any integer type, but not a ``bool``.

    Returns:
        The value as a plain Python integer.

    Raises:
        ValueError: If `value` is not an integer of at least 1.

    Example:
        >>> require_positive_int("output_dim", 0)
        Traceback (most recent call last):
        ...
        ValueError: output_dim must be an integer of at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return int(value)


def require_positive_number(name: str, value: object) -> float:
    """Return `value` as a ``float``, or raise.

    Args:
        name: The argument's name, for the message.
        value: What the caller gave; any real number type or a tensor of one number, but not a ``bool``.

    Returns:
        The value as a plain Python number.

    Raises:
        ValueError: If `value` is not a finite number above 0.

    Example:
        >>> require_positive_number("r_init", "2")
        Traceback (most recent call last):
        ...
        ValueError: r_init must be a finite number > 0, got '2'
    """
    given = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
    number = float(given) if not isinstance(given, bool) and isinstance(given, Real) else math.nan
    if not 0.0 < number < math.inf:
        raise ValueError(f"{name} must be a finite number > 0, got {value!r}")
    return number


def as_float(x: Num[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """`x` itself if its dtype is a float's, else `x` in torch's default float, which truncates nothing.

    Args:
        x: Values of any shape.

    Returns:
        The values.

    Example:
        >>> as_float(torch.tensor([3]))
        tensor([3.])
    """
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())


def require_choice(name: str, value: object, allowed: Collection[str]) -> str:
    """Return `value` if it is one of `allowed`, or raise.

    Args:
        name: The argument's name, for the message.
        value: What the caller gave.
        allowed: The names that are known.

    Returns:
        The value.

    Raises:
        ValueError: If `value` is not in `allowed`.

    Example:
        >>> require_choice("activation", "tanh", ["softplus", "sigmoid"])
        Traceback (most recent call last):
        ...
        ValueError: activation must be one of 'softplus', 'sigmoid'; got 'tanh'
    """
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value


def require_range(name: str, x: Num[Tensor, "..."], *, positive: bool = False) -> None:
    """Raise unless every entry of `x` is finite and >= 0.

    Args:
        name: The argument's name, for the message.
        x: Values of any shape.
        positive: Zero is not allowed either.

    Raises:
        ValueError: If an entry is negative, infinite or not a number (or zero, if `positive`).

    Example:
        >>> require_range("obs_counts", torch.tensor([3.0, -1.0]))
        Traceback (most recent call last):
        ...
        ValueError: obs_counts must be finite and >= 0; 1 of 2 entries are not, the first is -1.0
    """
    allowed = "> 0" if positive else ">= 0"
    _require_all(torch.isfinite(x) & (x > 0 if positive else x >= 0), name, x, f"finite and {allowed}")


def require_finite(name: str, x: Num[Tensor, "..."]) -> None:
    """Raise unless every entry of `x` is finite.

    Args:
        name: The argument's name, for the message.
        x: Values of any shape.

    Raises:
        ValueError: If an entry is infinite or not a number.

    Example:
        >>> require_finite("pred_log_r_values", torch.tensor([float("nan")]))
        Traceback (most recent call last):
        ...
        ValueError: pred_log_r_values must be finite; 1 of 1 entries are not, the first is nan
    """
    _require_all(torch.isfinite(x), name, x, "finite")


def _require_all(good: Tensor, name: str, x: Tensor, allowed: str) -> None:
    if not good.all():
        bad = x[~good]
        share = f"{bad.numel()} of {x.numel()} entries are not"
        raise ValueError(f"{name} must be {allowed}; {share}, the first is {bad[0].item()}")


def require_same_shape(name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    """Raise unless two tensors have one shape.

    Args:
        name: Name of `x`, for the message.
        x: The tensor in question.
        other_name: Name of `other`.
        other: The tensor whose shape is right.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> require_same_shape("pred_means", torch.ones(2, 3), "obs_counts", torch.ones(2, 4))
        Traceback (most recent call last):
        ...
        ValueError: pred_means must have the shape of obs_counts, (2, 4); got (2, 3)
    """
    if x.shape != other.shape:
        raise ValueError(
            f"{name} must have the shape of {other_name}, {tuple(other.shape)}; got {tuple(x.shape)}"
        )


def require_broadcastable(**tensors: Tensor) -> None:
    """Raise unless the tensors broadcast together.

    Args:
        **tensors: The tensors by their argument's name.

    Raises:
        ValueError: If they do not broadcast.

    Example:
        >>> require_broadcastable(k=torch.ones(3), m=torch.ones(4))
        Traceback (most recent call last):
        ...
        ValueError: k, m must broadcast together; got shapes (3,), (4,)
    """
    shapes = [tuple(x.shape) for x in tensors.values()]
    try:
        torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        received = ", ".join(map(str, shapes))
        raise ValueError(f"{', '.join(tensors)} must broadcast together; got shapes {received}") from error
