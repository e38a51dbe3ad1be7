# SPDX-License-Identifier: BSD-3-Clause
"""Two ways to find outlying counts without a generative decoder.

Principal components with negative binomial noise, and a log-normal singular value decomposition; both keep as
many components as the optimal hard threshold for unknown noise (Gavish & Donoho 2014, IEEE Trans. Inf. Theory
60:5040). Counts of training samples in, a function that scores samples out. As in OUTRIDER and OutSingle a
sample's own counts, outliers included, place it among the components.
"""

import numpy as np
import torch

from pydgd.stats import mid_p_residuals
from pydgd.training.dispersion import refitted_log_r
from pydgd.training.start import moment_r

# The threshold over the median singular value, as a polynomial of the shape's ratio (their equation 5).
OMEGA = (0.56, -0.95, 1.82, 1.43)


def optimal_components(values, shape):
    """Number of singular values above the optimal hard threshold.

    Args:
        values: All singular values of a matrix.
        shape: Its shape.
    """
    ratio = min(shape) / max(shape)
    return int((values > np.polyval(OMEGA, ratio) * np.median(values)).sum())


class _Components:
    """Leading right singular vectors of a centred matrix."""

    def __init__(self, centred):
        left, values, _ = np.linalg.svd(centred @ centred.T, hermitian=True)
        values = np.sqrt(values)[:-1]  # centring takes one away
        self.n = max(1, optimal_components(values, centred.shape))
        self.vectors = (left[:, : self.n] / values[: self.n]).T @ centred

    def project(self, centred):
        return (centred @ self.vectors.T) @ self.vectors


def nb_pca(counts, factors):
    """Principal components of log counts, negative binomial noise around them.

    Each gene's means are brought to its counts' sum; ln r is the most probable one about a trend in the mean,
    by the same counts.

    Args:
        counts: Reads of the training samples, (N, G).
        factors: Their scaling factors, (N,).

    Returns:
        Function of counts and scaling factors: signed residuals, normal if the model is true; number of
        components.
    """
    logs = _logs(counts, factors)
    centre = logs.mean(axis=0)
    components = _Components(logs - centre)

    def expected(k, s):
        return np.exp(centre + components.project(_logs(k, s) - centre)) * s[:, None]

    means = expected(counts, factors)
    ratio = counts.sum(axis=0) / means.sum(axis=0)
    x, mu = torch.as_tensor(counts), torch.as_tensor(means * ratio)
    r = refitted_log_r(x, mu, moment_r(x, mu).log()).exp().numpy()

    def residuals(k, s):
        means = expected(k, s) * ratio
        return np.stack([mid_p_residuals(row, mean, r) for row, mean in zip(k, means, strict=True)])

    return residuals, components.n


def log_normal_svd(counts, factors):
    """Log counts standardised by gene, their leading singular vectors taken away, standardised again.

    Source:
        Salkovic et al. (2023), Bioinformatics 39:btad142, for the idea; arguments and result as in `nb_pca`.
    """
    logs = _logs(counts, factors)
    centre, spread = logs.mean(axis=0), logs.std(axis=0).clip(1e-6)

    def standard(k, s):
        return (_logs(k, s) - centre) / spread

    z = standard(counts, factors)
    components = _Components(z)
    left = z - components.project(z)
    scale = left.std(axis=0).clip(1e-6)

    def residuals(k, s):
        z = standard(k, s)
        return (z - components.project(z)) / scale

    return residuals, components.n


def _logs(counts, factors):
    return np.log((counts + 1) / factors[:, None])
