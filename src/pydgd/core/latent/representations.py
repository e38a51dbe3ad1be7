# SPDX-License-Identifier: BSD-3-Clause
"""One latent position per sample, as a parameter that an optimiser moves."""

import inspect
import math
from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def _uniforms(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Uniform on (0, 1]: a logarithm or a negative power of it is finite."""
    return 1 - torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)


def _normals(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)


def _zeros(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    return torch.zeros(shape, dtype=torch.float64, device=generator.device)


def _normal(
    shape: tuple[int, int], generator: torch.Generator, *, mean: float = 0.0, sd: float = 1.0
) -> Tensor:
    _check_positive(sd=sd)
    return mean + sd * _normals(shape, generator)


def _uniform(
    shape: tuple[int, int], generator: torch.Generator, *, low: float = -1.0, high: float = 1.0
) -> Tensor:
    if not low < high:
        raise ValueError(f"low must be below high, got low={low} and high={high}.")
    return low + (high - low) * _uniforms(shape, generator)


def _uniform_ball(shape: tuple[int, int], generator: torch.Generator, *, radius: float = 1.0) -> Tensor:
    _check_positive(radius=radius)
    direction = _normals(shape, generator)
    direction = direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True)
    ball: Tensor = radius * direction * _uniforms((shape[0], 1), generator).pow(1 / shape[1])
    return ball


def _laplace(
    shape: tuple[int, int], generator: torch.Generator, *, mean: float = 0.0, scale: float = 1.0
) -> Tensor:
    _check_positive(scale=scale)
    # The difference of two standard exponentials.
    return mean + scale * (_uniforms(shape, generator).log() - _uniforms(shape, generator).log())


def _student_t(
    shape: tuple[int, int],
    generator: torch.Generator,
    *,
    df: float = 3.0,
    mean: float = 0.0,
    scale: float = 1.0,
) -> Tensor:
    _check_positive(df=df, scale=scale)
    # Polar method, exact for every df: Bailey (1994), Mathematics of Computation 62:779.
    radius = (df * torch.expm1(-2 / df * _uniforms(shape, generator).log())).sqrt()
    return mean + scale * radius * (2 * math.pi * _uniforms(shape, generator)).cos()


def _cauchy(
    shape: tuple[int, int], generator: torch.Generator, *, median: float = 0.0, scale: float = 1.0
) -> Tensor:
    _check_positive(scale=scale)
    return median + scale * (math.pi * (_uniforms(shape, generator) - 0.5)).tan()


REPRESENTATION_STARTS: dict[str, Callable[..., Tensor]] = {
    "zeros": _zeros,
    "normal": _normal,
    "uniform": _uniform,
    "uniform_ball": _uniform_ball,
    "laplace": _laplace,
    "student_t": _student_t,
    "cauchy": _cauchy,
}


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be > 0 and finite, got {value}.")


@final
class RepresentationLayer(nn.Module):
    """Representations of N samples in D latent dimensions.

    Args:
        n_samples: Number of samples N, at least 1.
        latent_dim: Number of latent dimensions D, at least 1.
        init: Where they start: ``zeros``, ``normal`` (mean, sd), ``uniform`` (low, high),
            ``uniform_ball`` (radius), ``laplace`` (mean, scale), ``student_t`` (df, mean, scale) or
            ``cauchy`` (median, scale).
        generator: Source of randomness; by default a new one seeded 0.
        dtype: Of the parameter; draws are made in float64.
        **options: Those of `init`.

    Attributes:
        z: Parameter, (N, D).

    Raises:
        ValueError: If a size, the name or an option is not allowed.

    Example:
        >>> layer = RepresentationLayer(3, 2, init="uniform_ball", radius=0.1)
        >>> layer(torch.tensor([0, 2])).shape
        torch.Size([2, 2])
    """

    def __init__(
        self,
        n_samples: int,
        latent_dim: int,
        *,
        init: str = "zeros",
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        **options: float,
    ) -> None:
        super().__init__()
        if n_samples < 1 or latent_dim < 1:
            raise ValueError(
                f"n_samples and latent_dim must be at least 1, got {n_samples} and {latent_dim}."
            )
        _check_start(init, options)
        generator = generator or torch.Generator().manual_seed(0)
        values = REPRESENTATION_STARTS[init]((n_samples, latent_dim), generator, **options)
        self.z = nn.Parameter(values.to(dtype))

    @classmethod
    def from_values(cls, values: Float[Tensor, "n_samples latent_dim"]) -> "RepresentationLayer":
        """A layer that starts at these positions (a copy of them), for example those a PCA gives.

        Args:
            values: Finite positions, (N, D); dtype and device are kept.

        Raises:
            ValueError: If `values` is not a finite matrix with at least one row and column.
        """
        if values.ndim != 2:
            raise ValueError(f"values must have shape (n_samples, latent_dim), got {tuple(values.shape)}.")
        if not bool(values.isfinite().all()):
            raise ValueError("values must be finite, got NaN or inf; check how the start was computed.")
        layer = cls(*values.shape, dtype=values.dtype)
        layer.z = nn.Parameter(values.detach().clone())
        return layer

    def forward(
        self, index: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch_or_samples latent_dim"]:
        """The rows asked for, or all of them.

        Args:
            index: Row numbers, in the order wanted.

        Returns:
            Representations; gradients flow back to `z`.
        """
        return self.z if index is None else self.z[index]

    def rescale(self) -> None:
        """Subtract the mean over all samples and dimensions, and divide by the standard deviation.

        Raises:
            ValueError: If all values are equal, or there is only one.
        """
        with torch.no_grad():
            sd = self.z.std() if self.z.numel() > 1 else self.z.new_zeros(())
            if not bool(sd > 0):
                raise ValueError(
                    f"cannot rescale {tuple(self.z.shape)} representations that are all equal; "
                    "start them with init='normal' or from_values."
                )
            self.z.sub_(self.z.mean()).div_(sd)


def _check_start(init: str, options: dict[str, float]) -> None:
    if init not in REPRESENTATION_STARTS:
        raise ValueError(f"init must be one of {', '.join(REPRESENTATION_STARTS)}; got {init!r}.")
    parameters = inspect.signature(REPRESENTATION_STARTS[init]).parameters.values()
    allowed = [one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise ValueError(
            f"init={init!r} has no option {', '.join(unknown)}; it takes {', '.join(allowed) or 'none'}."
        )
