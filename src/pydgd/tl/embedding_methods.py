# SPDX-License-Identifier: BSD-3-Clause
"""The methods of embedding: which class fits them, with which defaults, and which can be kept as arrays."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import pairwise_kernels

from pydgd.errors import ConfigError

Matrix = NDArray[np.float64]
Arrays = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Method:
    """How samples are embedded.

    Attributes:
        load: Gives the class that fits, once it is needed.
        defaults: Options from the number of samples and the seed, for what the user does not say.
        keep: The fitted arrays that `project` needs; None if the method leaves none.
        project: Coordinates of one sample from arrays and options.
    """

    load: Callable[[], type[Any]]
    defaults: Callable[[int, int], dict[str, Any]]
    keep: Callable[[Any], Arrays] | None = None
    project: Callable[[Matrix, Arrays, Mapping[str, Any]], Matrix] | None = None


def _pca() -> type[Any]:
    from sklearn.decomposition import PCA

    return PCA  # type: ignore[no-any-return]  # scikit-learn has no types


def _kernel_pca() -> type[Any]:
    from sklearn.decomposition import KernelPCA

    return KernelPCA  # type: ignore[no-any-return]


def _mds() -> type[Any]:
    from sklearn.manifold import MDS

    return MDS  # type: ignore[no-any-return]


def _tsne() -> type[Any]:
    from sklearn.manifold import TSNE

    return TSNE  # type: ignore[no-any-return]


def _umap() -> type[Any]:
    try:
        # It warns that it does without tensorflow, which only another class of its would use.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)
            from umap import UMAP
    except ImportError as error:
        raise ConfigError(
            "UMAP needs umap-learn, which is not installed; pip install 'pydgd[umap]', or use pca, kpca, mds "
            "or tsne"
        ) from error
    return UMAP  # type: ignore[no-any-return]


def _mds_defaults(_: int, seed: int) -> dict[str, Any]:
    # A start that needs no luck, where this release of scikit-learn knows it.
    start = {"init": "classical_mds", "n_init": 1} if "init" in _parameters(_mds()) else {"n_init": 4}
    return {"random_state": seed, **start}


def _keep_pca(fitted: Any) -> Arrays:  # noqa: ANN401  # scikit-learn has no types
    return {
        "mean": fitted.mean_,
        "components": fitted.components_,
        "variance": fitted.explained_variance_,
        "share": fitted.explained_variance_ratio_,
    }


def _project_pca(row: Matrix, arrays: Arrays, options: Mapping[str, Any]) -> Matrix:
    found = (row - arrays["mean"]) @ arrays["components"].T
    if not options.get("whiten"):
        return np.asarray(found)
    return np.asarray(found / np.sqrt(arrays["variance"]).clip(np.finfo(float).eps))


def _keep_kernel_pca(fitted: Any) -> Arrays:  # noqa: ANN401  # scikit-learn has no types
    kernel = fitted._centerer  # the means of the kernel are nowhere else
    positive = fitted.eigenvalues_ > 0
    scaled = np.zeros_like(fitted.eigenvectors_)
    scaled[:, positive] = fitted.eigenvectors_[:, positive] / np.sqrt(fitted.eigenvalues_[positive])
    return {
        "samples": np.asarray(fitted.X_fit_, dtype=float),
        "axes": scaled,
        "kernel_means": kernel.K_fit_rows_,
        "kernel_mean": np.atleast_1d(kernel.K_fit_all_).astype(float),
        "gamma": np.atleast_1d(np.nan if fitted.gamma_ is None else fitted.gamma_).astype(float),
    }


def _project_kernel_pca(row: Matrix, arrays: Arrays, options: Mapping[str, Any]) -> Matrix:
    parameters = {
        "gamma": None if np.isnan(arrays["gamma"][0]) else float(arrays["gamma"][0]),
        "degree": options.get("degree", 3),
        "coef0": options.get("coef0", 1),
    }
    kernel = pairwise_kernels(
        row[None], arrays["samples"], metric=options["kernel"], filter_params=True, **parameters
    )
    centred = kernel - kernel.mean() - arrays["kernel_means"] + arrays["kernel_mean"]
    return np.asarray((centred @ arrays["axes"])[0])


METHODS: dict[str, Method] = {
    "pca": Method(
        _pca, lambda _, seed: {"svd_solver": "full", "random_state": seed}, _keep_pca, _project_pca
    ),
    "kpca": Method(
        _kernel_pca,
        lambda _, seed: {"kernel": "rbf", "eigen_solver": "dense", "random_state": seed},
        _keep_kernel_pca,
        _project_kernel_pca,
    ),
    "mds": Method(_mds, _mds_defaults),
    "tsne": Method(
        _tsne,
        # scikit-learn asks for a perplexity below the number of samples; a third of it is what is common.
        lambda n, seed: {"random_state": seed, "init": "pca", "perplexity": min(30.0, max(1.0, (n - 1) / 3))},
    ),
    "umap": Method(
        _umap,
        # More than one thread and the same seed do not go together.
        lambda n, seed: {"random_state": seed, "n_jobs": 1, "n_neighbors": max(2, min(15, n - 1))},
    ),
}
"""Name → method."""

KERNELS = ("linear", "poly", "rbf", "sigmoid", "cosine")
"""Kernels that arrays and numbers describe."""


def fitted_options(name: str, options: Mapping[str, Any], *, n_samples: int, seed: int) -> dict[str, Any]:
    """All options of a method: the user's, and defaults for the others.

    Args:
        name: Key of `METHODS`.
        options: What the user said.
        n_samples: How many samples there are to fit.
        seed: Decides what is random.

    Raises:
        ConfigError: If the method or an option is unknown.
    """
    if name not in METHODS:
        raise ConfigError(f"method is {name!r}; choose one of {', '.join(METHODS)}")
    method = METHODS[name]
    known = _parameters(method.load())
    if unknown := [option for option in options if option not in known]:
        raise ConfigError(f"{name} has no option {unknown[0]!r}; it takes {', '.join(known)}")
    found = {**method.defaults(n_samples, seed), **options}
    if name == "kpca" and found["kernel"] not in KERNELS:
        raise ConfigError(f"kernel is {found['kernel']!r}; choose one of {', '.join(KERNELS)}")
    return found


def _parameters(kind: type[Any]) -> list[str]:
    return list(inspect.signature(kind).parameters)
