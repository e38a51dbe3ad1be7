# SPDX-License-Identifier: BSD-3-Clause
r"""Scaling factors: how deeply a sample was sequenced, in mean reads per gene.

Every rule gives s so that a sample's expected counts are s · m with the model's unscaled means m, and
accepts a **profile**, the typical m of a cohort, so that a panel of genes gives the s that the whole sample
would have given:

* ``mean``: reads over the profile's sum, :math:`s = \sum_g x_g / \sum_g p_g` over measured genes; with all
  genes measured that is the mean count, whatever the profile. A few very bright genes move it: in GTEx 13
  mitochondrial genes carry 0.1 to 91 % of a library.
* ``total``: the mean rule times the number of genes, so all reads of the sample. The means m are then shares
  of the reads, far below 1, where softplus is an exponential: a linear decoder becomes a log-linear model.
* ``median``: the median of :math:`x_g / p_g` over the brighter half of the measured genes, after Anders &
  Huber (2010), Genome Biology 11:R106, with a fixed profile in place of the cohort's geometric means. Fewer
  than half of these genes can change arbitrarily without moving it far. It always needs a profile: a plain
  median of counts is not proportional to depth, and is 0 where half of the genes are silent.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from pydgd.data.blocks import Matrix, by_rows, row_blocks
from pydgd.errors import ConfigError, CountsError

_Rule = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def _mean_rule(counts: NDArray[np.float64], profile: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(counts.sum(axis=1) / profile.sum())


def _median_rule(counts: NDArray[np.float64], profile: NDArray[np.float64]) -> NDArray[np.float64]:
    # A dim gene's ratio is mostly noise: with 1 expected read it is 0 one time in three.
    bright = profile >= np.median(profile[profile > 0])
    return np.asarray(np.median(counts[:, bright] / profile[bright], axis=1))


SCALING_RULES: dict[str, _Rule] = {"mean": _mean_rule, "total": _mean_rule, "median": _median_rule}
"""Name → function of the measured counts, a row per sample, and of their profile that gives s."""


def scaling_factors(
    counts: Matrix,
    *,
    rule: str = "mean",
    profile: Float[np.ndarray, " genes"] | None = None,
    measured: Bool[np.ndarray, " genes"] | None = None,
    sample_names: Iterable[str] | None = None,
) -> Float[np.ndarray, " samples"]:
    """Scaling factor of each sample; a sample's own does not depend on the others.

    Args:
        counts: Samples × genes.
        rule: A key of `SCALING_RULES`.
        profile: Typical means of all genes, as `typical_profile` gives them; brought to mean 1 if they are
            not. Needed unless the rule is ``"mean"`` or ``"total"`` and every gene is measured.
        measured: Which genes were measured; all by default. The others are left out.
        sample_names: For error messages.

    Returns:
        s > 0 in float64.

    Raises:
        ConfigError: If the rule is unknown, or a profile is needed or does not fit.
        CountsError: If a sample's s would be 0.

    Example:
        >>> scaling_factors(np.array([[4, 0, 2], [20, 10, 0]]))
        array([ 2., 10.])
    """
    _check_rule(rule)
    kept = np.ones(counts.shape[1], dtype=bool) if measured is None else measured
    typical = _fitting_profile(profile, kept, rule)
    factors = np.empty(counts.shape[0])
    for rows, block in row_blocks(by_rows(counts)):
        factors[rows] = SCALING_RULES[rule](block[:, kept].astype(np.float64), typical)
    if rule == "total":
        factors *= counts.shape[1]
    silent = np.flatnonzero(~(factors > 0))
    if silent.size:
        name = repr(list(sample_names)[silent[0]]) if sample_names is not None else f"number {silent[0] + 1}"
        raise CountsError(
            f"{silent.size} samples have too few reads for a scaling factor (first: sample {name}): by the "
            f"rule {rule!r} over {kept.sum():,} measured genes it is 0. Drop them"
            + (", or use the rule 'mean'" if rule == "median" else "")
        )
    return factors


def typical_profile(
    counts: Matrix, *, rule: str = "mean", sample_names: Iterable[str] | None = None
) -> Float[np.ndarray, " genes"]:
    """Mean of counts / s over a cohort: what `scaling_factors` needs to know of it, to be kept with a model.

    Args:
        counts: Samples × genes, all genes measured.
        rule: A key of `SCALING_RULES`. For ``"median"`` profile and factors are found in turns, from the
            mean rule's.
        sample_names: For error messages.

    Returns:
        One typical mean per gene, of mean 1 over all genes.

    Raises:
        ConfigError: If the rule is unknown.
        CountsError: If a sample's s would be 0.

    Example:
        >>> typical_profile(np.array([[4, 0, 2], [20, 10, 0]]))
        array([2. , 0.5, 0.5])
    """
    _check_rule(rule)
    names = None if sample_names is None else list(sample_names)
    profile = _mean_of_scaled(counts, scaling_factors(counts, sample_names=names))
    # A third turn would move no factor of the 619 samples of RNAseqDB by more than 0.04 %.
    for _ in range(2 if rule == "median" else 0):
        factors = scaling_factors(counts, rule=rule, profile=profile, sample_names=names)
        profile = _mean_of_scaled(counts, factors)
    return profile


def _check_rule(rule: str) -> None:
    if rule not in SCALING_RULES:
        raise ConfigError(f"scaling rule {rule!r} is unknown; choose from {', '.join(SCALING_RULES)}")


def _fitting_profile(
    profile: NDArray[np.float64] | None, kept: NDArray[np.bool_], rule: str
) -> NDArray[np.float64]:
    """The profile of the measured genes, of mean 1 over all genes."""
    # Exact whatever the profile: reads / genes.
    if rule != "median" and kept.all():
        return np.ones(kept.size)
    if profile is None:
        raise ConfigError(
            f"the scaling rule {rule!r} over {kept.sum():,} of {kept.size:,} genes needs a profile: give the "
            "model's, or that of a cohort by typical_profile(counts, rule=...)"
        )
    typical = profile[kept] / profile.mean()
    if not (np.isfinite(profile).all() and profile.min() >= 0 and typical.sum() > 0):
        raise ConfigError(
            "profile must be finite, not negative, and positive for some measured gene; give "
            "typical_profile's result"
        )
    return np.asarray(typical)


def _mean_of_scaled(counts: Matrix, factors: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.zeros(counts.shape[1])
    for rows, block in row_blocks(by_rows(counts)):
        total += (block / factors[rows, None]).sum(axis=0)
    return np.asarray(total / total.mean())
