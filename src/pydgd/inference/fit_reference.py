# SPDX-License-Identifier: BSD-3-Clause
"""The reference of a model's flags: the fit of healthy samples that its training did not see."""

import logging

import numpy as np
import torch

from pydgd.checkpoints.reference import FEWEST, FitReference
from pydgd.data import AlignedCounts
from pydgd.inference.flags import TINY, rows_of
from pydgd.inference.neighbours import TrainingSamples
from pydgd.inference.result import ClosestNormal
from pydgd.stats import deviance, log_mass

_log = logging.getLogger(__name__)


def fit_reference(
    held_out: AlignedCounts, normal: ClosestNormal | None, training: TrainingSamples
) -> FitReference | None:
    """Keep how well held-out samples fit.

    Args:
        held_out: Counts of healthy samples that training did not see, all genes measured.
        normal: Their most probable points, searched as a user's samples are; None if there are no samples.
        training: The samples that training did see.

    Returns:
        The reference; None if there are fewer than five held-out samples, or all are alike.
    """
    n = len(held_out.sample_names)
    if normal is None or n < FEWEST:
        _log.info("samples without a close normal cannot be told: %d were held out, %d are needed", n, FEWEST)
        return None
    nll, misfit = np.empty(n), np.empty(n)
    gene_nll, gene_deviance = np.zeros(len(normal.genes)), np.zeros(len(normal.genes))
    dispersions = rows_of(normal.r, held_out.measured, n=n)
    for i, (x, mu, r) in enumerate(zip(held_out.counts, normal.means, dispersions, strict=True)):
        terms, parts = -log_mass(x, mu, r), deviance(x, mu, r)
        nll[i], misfit[i] = terms.sum(), parts.sum()
        gene_nll += terms / n
        gene_deviance += parts / n
    distance = training.distances(torch.as_tensor(normal.representations))
    try:
        return FitReference(
            nll=nll / max(gene_nll.sum(), TINY),
            misfit=misfit / max(gene_deviance.sum(), TINY),
            distance=distance,
            gene_nll=gene_nll,
            gene_deviance=gene_deviance,
        )
    except ValueError as error:
        _log.warning(
            "samples without a close normal cannot be told: the %d held out give no reference (%s)", n, error
        )
        return None
