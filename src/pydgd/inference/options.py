# SPDX-License-Identifier: BSD-3-Clause
"""How representations are searched, and how hard."""

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

from pydgd.errors import ConfigError

SCHEME_NAMES = ("second_order", "one_opt", "two_opt")
LIKELIHOOD_NAMES = ("plain", "contaminated")
SCALINGS = ("model", "fitted")


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Which search, and how hard it tries.

    Schemes:
        second_order: From the best component means down to an optimum: by Newton's method without hidden
            layers, else by L-BFGS. Only this one looks at the other attributes, `seed` left aside.
        one_opt: As in bulkdgd: the best of all candidates, 60 steps of Adam.
        two_opt: As in bulkdgd: 10 steps of Adam on every candidate, 50 on the best of them.

    Attributes:
        scheme: One of the above.
        n_starts: Component means that are refined; the best one after `scout_iter` goes on. Twice as many
            with hidden layers, four times as many in large decoders, where scouts look at fewer genes.
        scout_iter: Evaluations spent on each start; three and six times as many there.
        max_iter: Most evaluations spent on the best one; three times and three quarters as many there.
        tolerance: Converged when one more Newton step promises less than this, in nats.
        seed: Draws the candidates of `one_opt` and `two_opt`, the same ones for all samples.
        likelihood: ``plain``, the model's own, or ``contaminated``, in which one gene in a hundred may have
            any number of reads, so that aberrant genes do not pull; `second_order` only.
        scaling: ``model``, scaling factors by the model's rule, or ``fitted``, found with the representation:
            from the rule's on, those that make the reads most probable; `second_order` only.

    Raises:
        ConfigError: If scheme, likelihood or scaling is unknown or they do not go together, a number is not
            positive, or a count not whole.

    Example:
        >>> SearchOptions(scheme="two_opt").scheme
        'two_opt'
    """

    scheme: str = "second_order"
    n_starts: int = 2
    scout_iter: int = 4
    max_iter: int = 60
    tolerance: float = 1e-3
    seed: int = 0
    likelihood: str = "plain"
    scaling: str = "model"

    def __post_init__(self) -> None:
        """Refuse what would certify a search that never ran."""
        if self.scheme not in SCHEME_NAMES:
            raise ConfigError(f"scheme must be one of {', '.join(SCHEME_NAMES)}, got {self.scheme!r}")
        if self.likelihood not in LIKELIHOOD_NAMES:
            raise ConfigError(
                f"likelihood must be one of {', '.join(LIKELIHOOD_NAMES)}, got {self.likelihood!r}"
            )
        if self.scaling not in SCALINGS:
            raise ConfigError(f"scaling must be one of {', '.join(SCALINGS)}, got {self.scaling!r}")
        if self.scheme != "second_order" and (self.likelihood, self.scaling) != ("plain", "model"):
            raise ConfigError(
                f"scheme {self.scheme!r} knows likelihood 'plain' and scaling 'model' only, got "
                f"{self.likelihood!r} and {self.scaling!r}; use the scheme 'second_order'"
            )
        for name, least in {"n_starts": 1, "scout_iter": 1, "max_iter": 1, "seed": 0}.items():
            value = getattr(self, name)
            if not is_whole(value, least=least):
                raise ConfigError(f"{name} must be a whole number of at least {least}, got {value!r}")
        if not 0 < self.tolerance < float("inf"):
            raise ConfigError(f"tolerance must be > 0 and finite, in nats, got {self.tolerance!r}")


def overruled(options: SearchOptions | None, **asked: str | None) -> SearchOptions:
    """Options with what was asked for by itself.

    Args:
        options: None for the usual ones.
        **asked: Fields of `SearchOptions`; None for what was not asked for.

    Raises:
        ConfigError: As `SearchOptions` does.

    Example:
        >>> overruled(None, likelihood="contaminated", scaling=None).likelihood
        'contaminated'
    """
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    return replace(options or SearchOptions(), **given)


def is_whole(value: object, *, least: int) -> bool:
    """Whether something is a whole number, NumPy's included, of at least `least`.

    Args:
        value: Anything.
        least: Smallest that will do.

    Example:
        >>> import numpy as np
        >>> [is_whole(value, least=1) for value in (8, np.int64(8), 8.0, "8", 0)]
        [True, True, False, False, False]
    """
    return isinstance(value, Integral) and int(value) >= least
