# SPDX-License-Identifier: BSD-3-Clause
r"""Simulated bulk RNA-seq: healthy samples of several tissues and donors, and cases with known changes.

Counts are negative binomial around depth × share of reads. A gene's share in a tissue is log-normal over
five orders of magnitude; samples of a tissue differ by a few programmes of genes that move together,
partly shared by a donor's samples; dispersion follows the trend :math:`\alpha = a_0 + a_1 / \text{mean}`
of Love et al. (2014), Genome Biology 15:550, with scatter between genes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from pydgd.errors import ConfigError

_TISSUES = (
    "liver",
    "kidney",
    "lung",
    "colon",
    "muscle",
    "brain",
    "skin",
    "heart",
    "thyroid",
    "stomach",
    "breast",
)
_SAMPLES_PER_DONOR = 3
_MEDIAN_READS, _READS_RANGE, _LOG_READS_SD = 25e6, (10e6, 60e6), 0.4
# A transcriptome of this many genes takes the reads above; fewer genes take their part.
_GENES_PER_LIBRARY = 20_000
_LOG_MEAN_SD, _LOG_LIMIT = 2.6, 7.5
_DISPERSION, _DISPERSION_SLOPE, _DISPERSION_SCATTER, _MAX_DISPERSION = 0.03, 1.5, 0.4, 10.0
_DONOR_SHARE = 0.4  # of the variance of a programme's score
MIN_PLANTED_READS = 20.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """What samples are drawn from.

    Attributes:
        genes: Names like Ensembl's, in a range that Ensembl has not given out.
        tissues: Names.
        log_share: Natural log of a gene's share of reads, up to a constant per tissue; tissues × genes.
        programmes: How far a programme's score of 1 moves a gene's log share; programmes × genes.
        dispersion: Negative binomial alpha = 1/r per gene.
    """

    genes: tuple[str, ...]
    tissues: tuple[str, ...]
    log_share: Floats
    programmes: Floats
    dispersion: Floats


@dataclass(frozen=True, eq=False)
class Simulation:
    """A healthy cohort, cases, and the truth about them.

    Attributes:
        normals: Healthy samples; `obs` has tissue and donor.
        cases: Samples of other donors; `obs` has also kind, ``"changed"`` or ``"unchanged"``; the layer
            ``"expected"`` has the mean reads that a gene would have without its change, and `var` the
            dispersion.
        truth: One row per changed gene of a case: sample, gene, log2_fold_change (> 0: up in the sample).
    """

    normals: AnnData
    cases: AnnData
    truth: pd.DataFrame


def simulate_cohort(
    *,
    n_tissues: int = 8,
    n_per_tissue: int = 50,
    n_genes: int = 3_000,
    n_changed: int = 16,
    n_unchanged: int = 16,
    changed_share: float = 0.05,
    log2_fold_changes: tuple[float, float] = (1.0, 3.0),
    seed: int = 0,
) -> Simulation:
    """Draw a healthy cohort and cases, some with planted changes.

    Args:
        n_tissues: Number of tissues.
        n_per_tissue: Healthy samples of each.
        n_genes: Number of genes.
        n_changed: Cases with changes.
        n_unchanged: Cases that are healthy.
        changed_share: Share of the genes with at least 20 expected reads that change in a case, half of
            them up.
        log2_fold_changes: Smallest and largest size of a change; sizes are uniform between them.
        seed: Same seed, same data.

    Returns:
        The samples and the truth.

    Raises:
        ConfigError: If a number is out of range.

    Example:
        >>> simulation = simulate_cohort(n_tissues=2, n_per_tissue=5, n_genes=100, seed=1)
        >>> simulation.normals.shape, simulation.cases.shape
        ((10, 100), (32, 100))
    """
    low, high = log2_fold_changes
    if not (0 <= changed_share <= 1 and 0 < low <= high):
        raise ConfigError(
            f"changed_share is {changed_share} and log2_fold_changes {log2_fold_changes}; give a share from "
            "0 to 1 and two sizes above 0 in rising order"
        )
    population = simulate_population(n_tissues=n_tissues, n_genes=n_genes, seed=seed)
    normals = _draw(population, n_tissues * n_per_tissue, "N", np.random.default_rng([seed, 1]))
    rng = np.random.default_rng([seed, 2])
    n_cases = n_changed + n_unchanged
    changes = np.zeros((n_cases, n_genes))
    # Tissues take turns, so the changed cases go through all of them, and then the others do.
    changed = np.arange(n_cases) < n_changed
    expected = _expected_shares(population, n_cases) * _median_depth(n_genes)
    for case in np.flatnonzero(changed):
        changes[case] = plant_changes(expected[case] >= MIN_PLANTED_READS, changed_share, low, high, rng)
    cases = _draw(population, n_cases, "C", rng, changes)
    cases.obs["kind"] = pd.Categorical(np.where(changed, "changed", "unchanged"))
    return Simulation(normals, cases, truth_table(changes, cases))


def simulate_blocks(
    n_samples: int, *, n_tissues: int = 8, n_genes: int = 15_000, block_size: int = 600, seed: int = 0
) -> Iterator[AnnData]:
    """Draw a healthy cohort of any size in blocks, each from its own seed, so that memory holds one block.

    Args:
        n_samples: Number of samples in all.
        n_tissues: Number of tissues.
        n_genes: Number of genes.
        block_size: Samples per block, a multiple of 3 so that no donor is in two blocks; part of the seed.
        seed: Same seed and block size, same data.

    Yields:
        AnnData as `Simulation.normals`.

    Raises:
        ConfigError: If a number is out of range.

    Example:
        >>> [block.n_obs for block in simulate_blocks(10, n_genes=50, block_size=6)]
        [6, 4]
    """
    if n_samples < 1 or block_size < 1 or block_size % _SAMPLES_PER_DONOR:
        raise ConfigError(
            f"n_samples is {n_samples} and block_size {block_size}; give at least 1 sample and blocks of a "
            "multiple of 3"
        )
    population = simulate_population(n_tissues=n_tissues, n_genes=n_genes, seed=seed)
    for first in range(0, n_samples, block_size):
        rng = np.random.default_rng([seed, 3, block_size, first])
        yield _draw(population, min(block_size, n_samples - first), "N", rng, first=first)


def simulate_population(*, n_tissues: int, n_genes: int, seed: int) -> Population:
    """Draw the tissues' profiles, the programmes and the dispersions.

    Args:
        n_tissues: Number of tissues, at least 1.
        n_genes: Number of genes, at least 1.
        seed: Same seed, same population.

    Raises:
        ConfigError: If a number is below 1.
    """
    if n_tissues < 1 or n_genes < 1:
        raise ConfigError(f"n_tissues is {n_tissues} and n_genes {n_genes}; give at least 1 of each")
    rng = np.random.default_rng([seed, 0])
    base = rng.normal(0.0, _LOG_MEAN_SD, n_genes)
    # Three genes in ten differ between tissues, one in thirty by orders of magnitude (markers).
    shape = (n_tissues, n_genes)
    deviation = rng.normal(0.0, 1.0, shape) * (rng.random(n_genes) < 0.3)
    markers = rng.normal(3.0, 1.0, shape) * (rng.random(shape) < 1 / 30)
    # Saturates, so that no gene takes a whole library and the range stays at five orders of magnitude.
    log_share = _LOG_LIMIT * np.tanh((base + deviation + markers) / _LOG_LIMIT)
    n_programmes = 12
    programmes = rng.normal(0.0, 0.3, (n_programmes, n_genes)) * (rng.random((n_programmes, n_genes)) < 0.2)
    mean = _softmax(log_share).mean(axis=0) * _median_depth(n_genes)
    trend = _DISPERSION + _DISPERSION_SLOPE / mean
    dispersion = np.minimum(trend * np.exp(rng.normal(0.0, _DISPERSION_SCATTER, n_genes)), _MAX_DISPERSION)
    numbers = 900_000 + np.sort(rng.choice(max(50_000, 2 * n_genes), n_genes, replace=False))
    genes = tuple(f"ENSG{number:011d}" for number in numbers)
    return Population(genes, _tissue_names(n_tissues), log_share, programmes, dispersion)


def _draw(
    population: Population,
    n_samples: int,
    prefix: str,
    rng: np.random.Generator,
    log2_fold_changes: Floats | None = None,
    *,
    first: int = 0,
) -> AnnData:
    """Draw counts of consecutive samples; tissues take turns and a donor gives three samples in a row."""
    number = np.arange(first, first + n_samples)
    donor = number // _SAMPLES_PER_DONOR
    n_programmes = len(population.programmes)
    of_donor = rng.normal(0.0, np.sqrt(_DONOR_SHARE), (np.ptp(donor) + 1, n_programmes))[donor - donor[0]]
    scores = of_donor + rng.normal(0.0, np.sqrt(1 - _DONOR_SHARE), (n_samples, n_programmes))
    tissue = number % len(population.tissues)
    mu = _softmax(population.log_share[tissue] + scores @ population.programmes)
    reads = np.clip(_MEDIAN_READS * np.exp(rng.normal(0.0, _LOG_READS_SD, n_samples)), *_READS_RANGE)
    mu *= (reads * len(population.genes) / _GENES_PER_LIBRARY)[:, None]
    expected = mu
    if log2_fold_changes is not None:
        mu = mu * np.exp2(log2_fold_changes)
    mu = mu * rng.standard_gamma(1 / population.dispersion, mu.shape) * population.dispersion
    obs = pd.DataFrame(
        {
            "tissue": pd.Categorical(
                np.array(population.tissues)[tissue], categories=list(population.tissues)
            ),
            "donor": pd.Categorical([f"{prefix}D{i + 1:04d}" for i in donor]),
        },
        index=[f"{prefix}{i + 1:05d}" for i in number],
    )
    drawn = AnnData(rng.poisson(mu).astype(np.int32), obs=obs, var=pd.DataFrame(index=list(population.genes)))
    if log2_fold_changes is not None:
        drawn.layers["expected"] = expected
        drawn.var["dispersion"] = population.dispersion
    return drawn


def plant_changes(
    eligible: NDArray[np.bool_], share: float, low: float, high: float, rng: np.random.Generator
) -> Floats:
    """Log2 fold changes of one case: half of the chosen genes up, half down.

    Args:
        eligible: Which genes may change, (G,).
        share: Share of these that do.
        low: Smallest size of a change.
        high: Largest one.
        rng: Decides which and how much.

    Returns:
        One per gene; 0 where nothing changes.
    """
    genes = np.flatnonzero(eligible)
    chosen = rng.choice(genes, round(share * genes.size), replace=False)
    changes = np.zeros(eligible.size)
    changes[chosen] = rng.uniform(low, high, chosen.size) * np.where(np.arange(chosen.size) % 2, -1.0, 1.0)
    return changes


def truth_table(changes: Floats, cases: AnnData) -> pd.DataFrame:
    """One row per changed gene of a case, as `Simulation.truth`.

    Args:
        changes: Log2 fold changes, cases × genes.
        cases: The cases.
    """
    sample, gene = np.nonzero(changes)
    return pd.DataFrame(
        {
            "sample": cases.obs_names.to_numpy()[sample],
            "gene": cases.var_names.to_numpy()[gene],
            "log2_fold_change": changes[sample, gene],
        }
    )


def _expected_shares(population: Population, n_samples: int) -> Floats:
    """Share of reads of each gene in samples that are typical of their tissue."""
    return _softmax(population.log_share)[np.arange(n_samples) % len(population.tissues)]


def _median_depth(n_genes: int) -> float:
    return _MEDIAN_READS * n_genes / _GENES_PER_LIBRARY


def _softmax(log_share: Floats) -> Floats:
    share = np.exp(log_share - log_share.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    return np.asarray(share)


def _tissue_names(n_tissues: int) -> tuple[str, ...]:
    more = (f"tissue {i + 1}" for i in range(len(_TISSUES), n_tissues))
    return (*_TISSUES[:n_tissues], *more)
