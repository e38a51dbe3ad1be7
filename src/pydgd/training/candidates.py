# SPDX-License-Identifier: BSD-3-Clause
"""The shapes of a model that a search of its capacity tries."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pydgd.config import TrainingConfig
from pydgd.errors import ConfigError
from pydgd.training.fit import sized

UNITS = 256
"""Of the hidden layer of the heads that have one."""

GIVEN = "given"
"""Name of the head of a configuration that has hidden layers of its own."""


class Head(NamedTuple):
    """What stands between z and the log means.

    Attributes:
        widths: Of the hidden layers, given the number of latent dimensions.
        activations: Of these.
        pace: Learning rate over the configured one.
    """

    widths: Callable[[int], tuple[int, ...]]
    activations: tuple[str, ...]
    pace: float = 1.0


HEADS = {
    "linear": Head(lambda _: (), ()),
    # Two linear maps in a row move by the steps of both: at the full pace, 497 samples end a nat behind.
    "low-rank": Head(lambda rank: (UNITS, rank), ("elu", "identity"), pace=1 / 3),
    "mlp": Head(lambda _: (UNITS,), ("elu",)),
}
"""Heads by name.

``linear`` makes log means a linear function of z, of rank D. ``mlp`` regresses them on 256 bent features of
z. ``low-rank`` has the same features, and weights of rank D from these to the genes."""

LATENT_STEPS = (0.25, 0.5, 1.0, 1.5, 2.0, 4.0)
"""Latent dimensions that are tried, over those of the default rule."""

COMPONENT_STEPS = (0.0, 1 / 3, 1.0, 2.0)
"""Likewise components; at least one."""

LEAST_SAMPLES = 4
"""Per latent dimension: a search tries no more dimensions, but those of the default rule."""


class Candidate(NamedTuple):
    """One shape of a model.

    Attributes:
        head: A key of `HEADS`, or `GIVEN`.
        latent_dim: Latent dimensions.
        n_components: Components of the mixture.
    """

    head: str
    latent_dim: int
    n_components: int

    def options(self, config: TrainingConfig) -> dict[str, Any]:
        """What differs from the configuration in a training of this shape.

        Args:
            config: Other options of the run.

        Example:
            >>> Candidate("mlp", 8, 2).options(TrainingConfig())["n_units_hidden_layers"]
            (256,)
        """
        shape: dict[str, Any] = {"latent_dim": self.latent_dim, "n_components": self.n_components}
        if self.head in (GIVEN, "linear"):
            return shape
        head = HEADS[self.head]
        layers = {"n_units_hidden_layers": head.widths(self.latent_dim), "activations": head.activations}
        return shape | layers | {"learning_rate": head.pace * config.learning_rate}


class Candidates(NamedTuple):
    """What a search tries.

    Attributes:
        rule: The shape by the default rule, with what the configuration gives.
        shapes: Heads and latent dimensions, with the rule's components.
        n_components: Numbers of components that are tried with the best of these.
    """

    rule: Candidate
    shapes: list[Candidate]
    n_components: list[int]


def candidates(
    config: TrainingConfig,
    *,
    n_samples: int,
    heads: Iterable[str] | None = None,
    latent_dims: Iterable[int] | None = None,
    n_components: Iterable[int] | None = None,
) -> Candidates:
    """Shapes around the default rule; what the configuration gives is not varied.

    Args:
        config: Options as given.
        n_samples: Training samples.
        heads: Keys of `HEADS`; all by default.
        latent_dims: By default those of `LATENT_STEPS`.
        n_components: By default those of `COMPONENT_STEPS`.

    Returns:
        They, without repetition.

    Raises:
        ConfigError: If a head is unknown, or there are not as many samples as a number asks for.
        TrainingError: As `pydgd.training.fit.sized`.

    Example:
        >>> candidates(TrainingConfig(), n_samples=120, heads=["linear"]).shapes
        [Candidate(head='linear', latent_dim=5, n_components=6), ...]
    """
    usual = sized(config, n_samples=n_samples)
    assert usual.latent_dim is not None
    assert usual.n_components is not None
    most = max(usual.latent_dim, n_samples // LEAST_SAMPLES)
    dims = _asked(latent_dims, config.latent_dim, most=n_samples - 1)
    dims = dims or [dim for dim in _steps(usual.latent_dim, LATENT_STEPS) if dim <= most]
    components = _asked(n_components, config.n_components, most=n_samples)
    components = components or [k for k in _steps(usual.n_components, COMPONENT_STEPS) if k <= n_samples]
    names = [GIVEN] if config.n_units_hidden_layers else _known(list(HEADS if heads is None else heads))
    first = usual.n_components if usual.n_components in components else components[0]
    rule_head = GIVEN if config.n_units_hidden_layers else "linear"
    return Candidates(
        Candidate(rule_head, usual.latent_dim, usual.n_components),
        [Candidate(name, dim, first) for name in names for dim in dims],
        components,
    )


def _steps(usual: int, steps: Sequence[float]) -> list[int]:
    return sorted({max(1, round(step * usual)) for step in steps})


def _asked(numbers: Iterable[int] | None, given: int | None, *, most: int) -> list[int]:
    """Numbers that the caller or the configuration insists on; none if neither does."""
    asked = sorted({given} if given is not None else set(numbers or ()))
    if wrong := [number for number in asked if not 1 <= number <= most]:
        raise ConfigError(
            f"a search among {most} training samples at most tries numbers from 1 to {most}, got "
            f"{', '.join(map(str, wrong))}"
        )
    return asked


def _known(heads: list[str]) -> list[str]:
    if not heads or not set(heads) <= HEADS.keys():
        raise ConfigError(f"heads must be some of {', '.join(HEADS)}, got {heads!r}")
    return list(dict.fromkeys(heads))
