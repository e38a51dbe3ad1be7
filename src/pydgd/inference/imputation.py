# SPDX-License-Identifier: BSD-3-Clause
r"""Reads of genes that a sample was not measured for: what they would be were it healthy, with intervals.

The reads k of a gene are Poisson around :math:`\lambda`, whose logarithm has three sources of variance: the
negative binomial's own, the uncertainty of ln mu, and the sample's departure. They are put together in a
gamma distribution of the same mean and variance of :math:`\ln\lambda`, so k is negative binomial again.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from jaxtyping import Float, Int
from scipy import special, stats

from pydgd.errors import ConfigError, GeneMismatchError
from pydgd.inference.result import ClosestNormal
from pydgd.words import plural

# More than this counts as Poisson: its variance of ln lambda, 1/r, changes nothing that can be seen.
_POISSON_FROM = 1e12
# Up to here it is alone: a variance of ln lambda of 1/r^2, from 1e12 on, hides all others. The difference of
# two digammas of 1/r would be nothing but rounding.
_ALONE_UP_TO = 1e-6
_NAMED_TARGETS = ("missing", "all")


def imputed(
    normal: ClosestNormal, *, targets: str | Iterable[str] = "missing", level: float = 0.9
) -> AnnData:
    """Expected reads of genes, with intervals for the reads themselves.

    Args:
        normal: Closest normals of the samples.
        targets: ``missing`` for the model's genes that the query lacks, ``all``, or names of genes, of which
            repeats count once.
        level: Share of healthy samples whose reads lie in the interval, bounds included; more in genes of few
            reads, which have whole numbers only.

    Returns:
        Samples × genes: X and ``layers["mean"]`` hold the expected reads, ``layers["lower"]`` and
        ``layers["upper"]`` the bounds, float32; ``var["measured"]`` says which genes the query has; the fit
        in `obs`, and ``uns["dgd"]``.

    Raises:
        ConfigError: If `level` is not between 0 and 1, or `targets` is unknown.
        GeneMismatchError: If the model lacks one of the genes.
    """
    columns = _columns(normal, checked_targets(targets, level=level, genes=normal.genes))
    mean = normal.means[:, columns].astype(np.float64)
    lower, upper = np.empty_like(mean), np.empty_like(mean)
    for row in range(len(mean)):
        predicted = _predictive(normal, row, columns)
        lower[row], upper[row] = predicted.ppf((1 - level) / 2), predicted.ppf((1 + level) / 2)
    layers = {"mean": mean, "lower": lower, "upper": upper}
    return AnnData(
        X=mean.astype(np.float32),
        obs=normal.fit.set_axis(list(normal.sample_names)),
        var=pd.DataFrame({"measured": normal.measured[columns]}, index=np.array(normal.genes)[columns]),
        layers={name: values.astype(np.float32) for name, values in layers.items()},
        uns={"dgd": {**normal.provenance, "level": level}},
    )


def checked_targets(targets: str | Iterable[str], *, level: float, genes: Sequence[str]) -> str | list[str]:
    """Refuse what `imputed` cannot answer, before a search.

    Args:
        targets: As there; an iterator is used up.
        level: As there.
        genes: Of the model.

    Returns:
        The same targets, names as a list without repeats.

    Raises:
        ConfigError: If `level` is not between 0 and 1, or `targets` is unknown or names no gene.
        GeneMismatchError: If the model lacks one of the genes.

    Example:
        >>> checked_targets(iter(["B", "A", "B"]), level=0.9, genes=["A", "B"])
        ['B', 'A']
    """
    if not 0 < level < 1:
        raise ConfigError(f"level must lie between 0 and 1, got {level!r}")
    if isinstance(targets, str):
        if targets not in _NAMED_TARGETS:
            raise ConfigError(f"targets must be 'missing', 'all' or a list of genes, got {targets!r}")
        return targets
    names = list(dict.fromkeys(targets))
    if not names:
        raise ConfigError("targets names no gene; give names of genes, 'missing' or 'all'")
    lost = pd.Index(names).difference(pd.Index(genes), sort=False)
    if len(lost):
        raise GeneMismatchError(
            f"the model lacks {len(lost)} of {plural(len(names), 'gene')} (first: {lost[0]!r}); it has names "
            f"like {genes[0]!r}, all of them in DGD.genes"
        )
    return names


def _columns(normal: ClosestNormal, targets: str | list[str]) -> Int[np.ndarray, " genes"]:
    if isinstance(targets, str):
        return np.flatnonzero(~normal.measured | (targets == "all"))
    return np.asarray(pd.Index(normal.genes).get_indexer(pd.Index(targets)))


def _predictive(normal: ClosestNormal, row: int, columns: np.ndarray) -> stats.distributions.rv_frozen:
    """Distribution of a healthy sample's reads where mean, departure and r are as found."""
    mu = normal.means[row, columns].astype(np.float64)
    r = normal.dispersions(row)[columns].clip(max=_POISSON_FROM)
    variance = np.zeros(len(mu))
    if normal.log_mean_variance is not None:
        variance += normal.log_mean_variance[row, columns]
    if normal.departure is not None:
        variance += normal.departure[row]
    more = (variance > 0) & (r > _ALONE_UP_TO)
    mean, shape = mu.copy(), r.copy()
    shape[more] = inverse_trigamma(special.polygamma(1, r[more]) + variance[more])
    log_scale = special.digamma(r[more]) - np.log(r[more]) - special.digamma(shape[more])
    mean[more] *= shape[more] * np.exp(log_scale)
    return stats.nbinom(shape, shape / (shape + mean))


def inverse_trigamma(y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The x > 0 with trigamma(x) = y.

    Args:
        y: From 1e-100 to 1e100.

    Source:
        Smyth (2004), Statistical Applications in Genetics and Molecular Biology 3:3, appendix: Newton's
        method on 1/trigamma, which is nearly straight and convex, so that it converges from one side. Above
        1e7 from 1/sqrt(y), as there: from 0.5 every step would only halve what is left.

    Example:
        >>> inverse_trigamma(np.array([np.pi**2 / 6])).round(12)
        array([1.])
    """
    x = np.where(y > 1e7, 1 / np.sqrt(y), 0.5 + 1 / y)
    for _ in range(50):
        trigamma = special.polygamma(1, x)
        step = trigamma * (1 - trigamma / y) / special.polygamma(2, x)
        x = x + step
        if np.abs(step / x).max(initial=0.0) < 1e-12:
            break
    return np.asarray(x)
