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
_NAMED_TARGETS = ("missing", "all")


def imputed(
    normal: ClosestNormal, *, targets: str | Iterable[str] = "missing", level: float = 0.9
) -> AnnData:
    """Expected reads of genes, with intervals for the reads themselves.

    Args:
        normal: Closest normals of the samples.
        targets: ``missing`` for the model's genes that the query lacks, ``all``, or names of genes.
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
    check_targets(targets, level=level, genes=normal.genes)
    columns = _columns(normal, targets)
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


def check_targets(targets: str | Iterable[str], *, level: float, genes: Sequence[str]) -> None:
    """Refuse what `imputed` cannot answer, before a search.

    Args:
        targets: As there.
        level: As there.
        genes: Of the model.

    Raises:
        ConfigError: If `level` is not between 0 and 1, or `targets` is unknown.
        GeneMismatchError: If the model lacks one of the genes.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level must lie between 0 and 1, got {level!r}")
    if isinstance(targets, str):
        if targets not in _NAMED_TARGETS:
            raise ConfigError(f"targets must be 'missing', 'all' or a list of genes, got {targets!r}")
        return
    names = list(targets)
    lost = pd.Index(names).difference(pd.Index(genes), sort=False)
    if len(lost):
        raise GeneMismatchError(
            f"the model lacks {len(lost)} of {plural(len(names), 'gene')} (first: {lost[0]!r}); it has names "
            f"like {genes[0]!r}, all of them in DGD.genes"
        )


def _columns(normal: ClosestNormal, targets: str | Iterable[str]) -> Int[np.ndarray, " genes"]:
    if isinstance(targets, str):
        return np.flatnonzero(~normal.measured | (targets == "all"))
    return np.asarray(pd.Index(normal.genes).get_indexer(pd.Index(list(targets))))


def _predictive(normal: ClosestNormal, row: int, columns: np.ndarray) -> stats.distributions.rv_frozen:
    """Distribution of a healthy sample's reads where mean, departure and r are as found."""
    mu = normal.means[row, columns].astype(np.float64)
    r = normal.dispersions(row)[columns].clip(max=_POISSON_FROM)
    variance = np.zeros(len(mu))
    if normal.log_mean_variance is not None:
        variance += normal.log_mean_variance[row, columns]
    if normal.departure is not None:
        variance += normal.departure[row]
    shape = inverse_trigamma(special.polygamma(1, r) + variance)
    log_scale = special.digamma(r) - np.log(r) - special.digamma(shape)
    mean = np.where(variance > 0, mu * shape * np.exp(log_scale), mu)
    shape = np.where(variance > 0, shape, r)
    return stats.nbinom(shape, shape / (shape + mean))


def inverse_trigamma(y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The x > 0 with trigamma(x) = y.

    Args:
        y: Above 0.

    Source:
        Smyth (2004), Statistical Applications in Genetics and Molecular Biology 3:3, appendix: Newton's
        method on 1/trigamma, which is nearly straight and convex, so that it converges from one side.

    Example:
        >>> inverse_trigamma(np.array([np.pi**2 / 6])).round(12)
        array([1.])
    """
    x = 0.5 + 1 / y
    for _ in range(50):
        trigamma = special.polygamma(1, x)
        step = trigamma * (1 - trigamma / y) / special.polygamma(2, x)
        x = x + step
        if np.abs(step / x).max(initial=0.0) < 1e-12:
            break
    return np.asarray(x)
