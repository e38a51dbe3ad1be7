# SPDX-License-Identifier: BSD-3-Clause
"""New samples out of a model: representations from its mixture, counts from its decoder."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from numpy.typing import NDArray

from pydgd.dgd import DGD
from pydgd.errors import ConfigError
from pydgd.inference.decoding import decode
from pydgd.inference.neighbours import TrainingSamples
from pydgd.tl.positions import Positions, Source, joint_log_densities, positions

_MOST_READS = 1e9  # in all


def sample_representations(model: DGD, n: int, *, seed: int = 0) -> pd.DataFrame:
    """Draw representations from the mixture.

    Args:
        model: The trained model.
        n: How many.
        seed: Same seed, same draws; the first ones are the same whatever `n`.

    Returns:
        ``synthetic_1`` … × ``z1`` …

    Raises:
        ConfigError: If `n` is below 1 or the seed negative.
    """
    if n < 1:
        raise ConfigError(f"n is {n}; give at least 1")
    prior = model.record.model.prior
    with torch.no_grad():
        weights, means = prior.weights.double().numpy(), prior.means.double().numpy()
        factors = torch.linalg.cholesky(prior.covariances().double()).numpy()
    edges, z = weights.cumsum()[:-1], np.empty((n, prior.latent_dim))
    for i, one in enumerate(_seeds(n, seed)):
        generator = np.random.default_rng(one)
        component = int(np.searchsorted(edges, generator.uniform(), side="right"))
        z[i] = means[component] + factors[component] @ generator.standard_normal(prior.latent_dim)
    names = pd.Index([f"synthetic_{i}" for i in range(1, n + 1)])
    columns = pd.Index([f"z{d}" for d in range(1, prior.latent_dim + 1)])
    return pd.DataFrame(z, index=names, columns=columns)


def sample_counts(
    model: DGD,
    n: int | None = None,
    *,
    source: Source = None,
    reads: float = 2e7,
    log2_fold_changes: pd.DataFrame | None = None,
    seed: int = 0,
) -> AnnData:
    """Draw new healthy samples: counts around the expected reads of a representation, or changed ones.

    Args:
        model: The trained model.
        n: How many samples of new representations, drawn from the mixture; or give `source`.
        source: Representations to draw one sample of each at, e.g. those of ``sample_representations``.
        reads: Expected reads of a sample over all genes of the model.
        log2_fold_changes: Samples × genes, in their order; above 0, the gene has more reads than expected.
        seed: Same seed, same counts; a sample's do not depend on how many are drawn.

    Returns:
        Counts, with ``layers["dgd_mean"]`` (expected reads without the changes), ``obsm["X_dgd"]``,
        ``obs["dgd_component"]`` (the most probable one), ``obs["dgd_nearest_components"]`` (the labels that
        it holds) and, unless the model is of Poisson counts, ``var["dgd_r"]`` or ``layers["dgd_r"]``.

    Raises:
        ConfigError: If not exactly one of `n` and `source` is given, a number is out of range, or the changes
            are of other samples or genes.

    Example:
        >>> from pydgd.data import simulate_cohort
        >>> model = DGD.fit(simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200).normals, epochs=5)
        >>> sample_counts(model, 3, reads=1e5).shape
        (3, 200)
    """
    if (n is None) == (source is None):
        raise ConfigError("give either n, the number of samples, or source, their representations")
    if not 0 < reads <= _MOST_READS:
        raise ConfigError(f"reads is {reads:g}; give the expected reads of a sample, at most {_MOST_READS:g}")
    found = positions(model, sample_representations(model, n, seed=seed) if n is not None else source)
    core = model.record.model
    per_factor, r = decode(core, found.z, np.ones(len(found.names)))
    mu = per_factor.astype(np.float64) * (reads / per_factor.sum(axis=1, keepdims=True, dtype=np.float64))
    calibration = model.record.calibration
    if calibration is not None and calibration.log_r is not None:
        r = np.exp(calibration.log_r)
    spread = np.broadcast_to(np.inf if r is None else r, mu.shape)
    seeds = _seeds(len(found.names), seed)
    changed = mu * _factors(log2_fold_changes, found.names, model.genes)
    counts = np.stack([_counts(*row) for row in zip(changed, spread, seeds, strict=True)])
    if counts.max() <= np.iinfo(np.int32).max:
        counts = counts.astype(np.int32)
    result = AnnData(counts, obs=_places(model, found), var=pd.DataFrame(index=pd.Index(model.genes)))
    result.obsm["X_dgd"] = found.z.numpy()
    result.layers["dgd_mean"] = mu.astype(np.float32)
    if r is not None and r.ndim == 1:
        result.var["dgd_r"] = r
    elif r is not None:
        result.layers["dgd_r"] = r.astype(np.float32)
    return result


def _factors(changes: pd.DataFrame | None, samples: pd.Index, genes: Sequence[str]) -> NDArray[np.float64]:
    if changes is None:
        return np.ones((1, 1))
    if list(changes.index) != list(samples) or list(changes.columns) != list(genes):
        raise ConfigError(
            f"log2_fold_changes has {len(changes)} samples x {changes.shape[1]} genes that are not the "
            f"{len(samples)} x {len(genes)} of the samples to draw and the model, in their order; reindex it"
        )
    return np.asarray(np.exp2(changes.to_numpy(dtype=float)))


def _places(model: DGD, found: Positions) -> pd.DataFrame:
    record = model.record
    training = TrainingSamples(record.model.prior, record.representations, record.labels)
    component = joint_log_densities(record.model.prior, found.z).argmax(axis=1)
    columns = {"dgd_component": component, "dgd_nearest_components": training.nearest_components(found.z)}
    return pd.DataFrame(columns, index=found.names)


def _seeds(n: int, seed: int) -> list[int]:
    """A seed of each sample, by its number."""
    if seed < 0:
        raise ConfigError(f"seed is {seed}; give a whole number of at least 0")
    return [int(np.random.SeedSequence([seed, i]).generate_state(1, np.uint64)[0] >> 1) for i in range(n)]


def _counts(mu: NDArray[np.float64], r: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Negative binomial counts: Poisson around a gamma mean; plain Poisson where r is infinite."""
    generator = np.random.default_rng(seed)
    finite = np.isfinite(r)
    shape = np.where(finite, r, 1.0)
    means = np.where(finite, generator.gamma(shape, mu / shape), mu)
    return generator.poisson(means)
