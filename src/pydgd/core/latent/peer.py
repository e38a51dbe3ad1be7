# SPDX-License-Identifier: BSD-3-Clause
"""Mixtures to and from the state dictionaries that bulkdgd writes."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pydgd.core.latent.gaussian import GaussianMixture
from pydgd.core.latent.gradient import GradientMixture
from pydgd.core.latent.prior import LatentPrior

TGMM_COVARIANCE_TYPES = {
    "full": "full",
    "tied_full": "tied",
    "diag": "diagonal",
    "spherical": "spherical",
    "tied_diag": "tied_diagonal",
    "tied_spherical": "tied_spherical",
}
TGMM_KEYS = ("weights_", "means_", "covariances_", "covariance_type")
# What bulkdgd 2.0.1 asks of a state besides: of the fit that it need not repeat, and its own defaults.
_TGMM_SETTINGS: dict[str, Any] = {
    "max_iter": 1000,
    "init_means": "maxdist",
    "init_weights": "uniform",
    "init_covariances": "empirical",
    "n_init": 1,
    "random_state": None,
    "warm_start": False,
    "verbose": False,
    "verbose_interval": 10,
    "cem": False,
    "fitted_": True,
    "converged_": True,
    "n_iter_": 0,
    "lower_bound_": float("nan"),
    "use_weight_prior": False,
    "use_mean_prior": False,
    "use_covariance_prior": False,
    "weight_concentration_prior": None,
    "mean_prior": None,
    "mean_precision_prior": None,
    "covariance_prior": None,
    "degrees_of_freedom_prior": None,
}
LGMM_KEYS = ("_means", "_weights", "_log_var")


def gaussian_mixture_from_peer(state: Mapping[str, Any]) -> GaussianMixture:
    """The EM mixture in a tgmm state (bulkdgd 2 with ``latent_type: tgmm``).

    Args:
        state: Keys ``weights_`` (K,), ``means_`` (K, D), ``covariances_``, ``covariance_type``; where
            they are there, ``reg_covar`` and ``tol`` are kept and the rest is ignored.

    Returns:
        The mixture, ready to score or to `update`.

    Raises:
        ValueError: If a key is missing, a shape or number is impossible, the covariance type is unknown
            or the mixture has a noise component.
    """
    _check_keys(state, TGMM_KEYS, "tgmm")
    if state["covariance_type"] not in TGMM_COVARIANCE_TYPES:
        raise ValueError(
            f"the tgmm state has covariance_type {state['covariance_type']!r}; "
            f"it can be read if it is one of {', '.join(TGMM_COVARIANCE_TYPES)}."
        )
    if state.get("noise"):
        raise ValueError("the tgmm state has a noise component, which has no equal here; refit without.")
    options = {key: float(state[key]) for key in ("reg_covar", "tol") if state.get(key) is not None}
    return GaussianMixture.from_parameters(
        _tensor(state, "weights_", ndim=1),
        _tensor(state, "means_", ndim=2),
        _tensor(state, "covariances_"),
        covariance_type=TGMM_COVARIANCE_TYPES[state["covariance_type"]],
        **options,
    )


def gradient_mixture_from_peer(
    state: Mapping[str, Any], *, covariance_type: str | None = None, **options: float
) -> GradientMixture:
    """The gradient-trained mixture in an lgmm state (bulkdgd 1, or 2 with ``latent_type: lgmm``).

    Args:
        state: Keys ``_means`` (K, D), ``_weights`` (K,), ``_log_var`` (K, 1) or (K, D).
        covariance_type: The state does not tell ``fixed`` from ``isotropic``; by default one column of
            log variances means ``isotropic``, more mean ``diagonal``.
        **options: The hyperpriors of `GradientMixture`, which the state does not hold either.

    Returns:
        The mixture, in float32.

    Raises:
        ValueError: If a key is missing, or a shape or number is impossible.
    """
    _check_keys(state, LGMM_KEYS, "lgmm")
    means, log_var = _tensor(state, "_means", ndim=2), _tensor(state, "_log_var", ndim=2)
    by_columns = "isotropic" if log_var.shape[1] == 1 else "diagonal"
    arguments: dict[str, Any] = {"covariance_type": covariance_type or by_columns, **options}
    mixture = GradientMixture(*means.shape, **arguments)
    given = {"means": means, "weight_logits": _tensor(state, "_weights", ndim=1), "log_var": log_var}
    for name, values in given.items():
        expected = mixture.get_parameter(name).shape
        if values.shape != expected:
            raise ValueError(
                f"the lgmm state's {name} have shape {tuple(values.shape)}, expected {tuple(expected)} "
                f"for covariance_type {mixture.covariance_type!r} and means {tuple(means.shape)}."
            )
    mixture.load_state_dict(given)
    return mixture


def prior_from_peer(state: Mapping[str, Any]) -> LatentPrior:
    """The mixture in a bulkdgd ``gmm.pth``, whichever kind it is.

    Raises:
        ValueError: If the state is neither a tgmm nor an lgmm state, or is damaged.

    Example:
        >>> state = {"_means": torch.zeros(2, 3), "_weights": torch.ones(2), "_log_var": torch.zeros(2, 1)}
        >>> prior_from_peer(state).covariance_type
        'isotropic'
    """
    if "covariances_" in state:
        return gaussian_mixture_from_peer(state)
    if "_log_var" in state:
        return gradient_mixture_from_peer(state)
    raise ValueError(
        f"not a bulkdgd mixture: keys {', '.join(sorted(state)[:6]) or 'none'}; "
        f"expected {', '.join(TGMM_KEYS)} (tgmm) or {', '.join(LGMM_KEYS)} (lgmm)."
    )


def prior_to_peer(prior: LatentPrior) -> dict[str, Any]:
    """The state that bulkdgd reads: float32, its names, without what its training remembers."""
    return _TO_PEER[prior.name](prior)


def _tgmm_state(prior: LatentPrior) -> dict[str, Any]:
    state, config = prior.state_dict(), prior.config()
    names = {ours: theirs for theirs, ours in TGMM_COVARIANCE_TYPES.items()}
    parameters = {
        "weights_": state["weights"].float(),
        "means_": state["means"].float(),
        "covariances_": state["natural_covariances"].float(),
    }
    return {
        **parameters,
        **{f"initial_{name}": values.clone() for name, values in parameters.items()},
        "covariance_type": names[config["covariance_type"]],
        "n_components": config["n_components"],
        "n_features": config["latent_dim"],
        "reg_covar": config["reg_covar"],
        "tol": config["tol"],
        **_TGMM_SETTINGS,
    }


def _lgmm_state(prior: LatentPrior) -> dict[str, Any]:
    state = prior.state_dict()
    return {"_means": state["means"], "_weights": state["weight_logits"], "_log_var": state["log_var"]}


_TO_PEER: dict[str, Callable[[LatentPrior], dict[str, Any]]] = {
    GaussianMixture.name: _tgmm_state,
    GradientMixture.name: _lgmm_state,
}


def _check_keys(state: Mapping[str, Any], keys: tuple[str, ...], kind: str) -> None:
    missing = [key for key in keys if key not in state]
    if missing:
        present = ", ".join(sorted(state)[:6]) or "no keys"
        raise ValueError(
            f"the {kind} state lacks {', '.join(missing)}; it has {present}. "
            "Load the whole gmm.pth that bulkdgd wrote."
        )


def _tensor(state: Mapping[str, Any], key: str, *, ndim: int | None = None) -> Tensor:
    # as_tensor: tgmm may hold a tied spherical variance as a plain number.
    values = torch.as_tensor(state[key])
    if ndim is not None and values.ndim != ndim:
        raise ValueError(f"{key} must have {ndim} dimensions, got shape {tuple(values.shape)}.")
    if not (values.is_floating_point() and bool(values.isfinite().all())):
        raise ValueError(f"{key} must be finite floating-point numbers, got dtype {values.dtype}.")
    return values
