# SPDX-License-Identifier: BSD-3-Clause
"""How rare residuals are among all genes of a healthy sample that are narrowed like a departed sample's.

Where a sample departs in every gene, its residuals are divided by more than their own noise, each gene's by
another amount. A gene that is as in healthy samples then hardly shows, above all one of little noise. Asked
how rare its narrowed residual is among healthy *un*narrowed ones, a tumour has next to no calls. Asked how
many of its genes would go so far were all as in healthy samples, it has those that a threshold on the
narrowed residual is honest about.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

from pydgd.stats.arguments import FloatArray
from pydgd.stats.empirical_null import EmpiricalNull, LogTails

# Genes of a stratum that are narrowed alike share a class; between knots ln p is interpolated.
_CLASSES, _N_KNOTS = 24, 401


def pooled_log_tails(
    null: EmpiricalNull,
    residuals: Float[np.ndarray, " n"],
    floors: Float[np.ndarray, " n"],
    narrowing: Float[np.ndarray, " n"],
) -> LogTails:
    r"""Natural logs of :math:`\frac1n \sum_g S_g(c_g\,t)` on either side, S the null of gene g's stratum.

    It falls with t alone, so genes rank by their narrowed residuals; and n times it is the number of healthy
    genes expected beyond t, which is what a false discovery rate asks for.

    Args:
        null: Of residuals that are not narrowed.
        residuals: Narrowed ones t of all genes of one sample, infinite where a tail is all there is.
        floors: -ln P(k = 0) of each gene.
        narrowing: c, by how much each was divided, >= 1.

    Source:
        Tusher, Tibshirani & Chu (2001), PNAS 98:5116: a constant added to every gene's spread, and a null
        pooled over genes.
    """
    knots = _knots(residuals)
    classes, sizes = _classes(null, floors, narrowing)
    log_share = np.log(sizes / sizes.sum())[:, None]
    stretched = [
        null.log_tails(np.outer(c, knots).ravel(), np.full(c.size * knots.size, at)) for at, c in classes
    ]
    sides = []
    for side, outward in ((0, -residuals), (1, residuals)):
        log_tails = np.concatenate([tails[side].reshape(-1, knots.size) for tails in stretched])
        pooled = logsumexp(log_tails + log_share, axis=0)
        inside = np.interp(residuals, knots, pooled)
        sides.append(np.where(np.isinf(residuals), np.where(outward > 0, -np.inf, 0.0), inside))
    return LogTails(*sides)


def _knots(residuals: FloatArray) -> FloatArray:
    """Closest to one another about 0, where most residuals are; the outermost residuals are the last."""
    known = np.abs(residuals[np.isfinite(residuals)])
    most = max(1.0, float(known.max(initial=0.0)))
    steps = np.linspace(-1, 1, _N_KNOTS)
    return np.asarray(np.sign(steps) * steps**2 * most)


def _classes(
    null: EmpiricalNull, floors: FloatArray, narrowing: FloatArray
) -> tuple[list[tuple[float, FloatArray]], Int[np.ndarray, " classes"]]:
    """A floor of each stratum with its classes' mean narrowing, and how many genes every class has."""
    stratum = np.searchsorted(null.edges, floors, side="right")
    classes: list[tuple[float, FloatArray]] = []
    sizes: list[int] = []
    for i in np.unique(stratum):
        chosen = stratum == i
        parts = np.array_split(np.sort(narrowing[chosen]), min(_CLASSES, int(chosen.sum())))
        classes.append((float(floors[chosen][0]), np.array([part.mean() for part in parts])))
        sizes.extend(len(part) for part in parts)
    return classes, np.array(sizes)
