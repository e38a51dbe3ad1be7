# SPDX-License-Identifier: BSD-3-Clause
"""Learn from healthy samples what a model's residuals are like on samples it has not seen."""

import logging
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.checkpoints.calibration import Calibration
from pydgd.core.model import JointModel
from pydgd.data import AlignedCounts
from pydgd.inference import ClosestNormal
from pydgd.inference.departure import misfit, telling_genes
from pydgd.inference.posterior import Posterior
from pydgd.stats import mid_p_residuals
from pydgd.stats.calibrated import Expected, NullModel
from pydgd.training.counts import TrainingCounts, evenly_spaced
from pydgd.training.dispersion import refitted_log_r
from pydgd.training.leave_one_out import MOST_SAMPLES, leave_one_out_means

_log = logging.getLogger(__name__)

USUAL = 0.95
"""Share of healthy samples that are taken to be as they should."""

FEWEST = 5
"""Of fewer held-out samples no usual misfit can be told."""

ENOUGH = 20
"""With fewer, the limit of the misfit is little more than the largest one."""


def calibrate(
    model: JointModel,
    *,
    representations: Float[Tensor, "n latent"],
    counts: TrainingCounts,
    held_out: AlignedCounts,
    found: ClosestNormal | None,
) -> Calibration | None:
    """Learn dispersions from the training samples, and the null distribution from those held out.

    Args:
        model: Trained.
        representations: Of the training samples.
        counts: Theirs.
        held_out: Healthy samples that training did not see.
        found: Their most probable points; None if there are none.

    Returns:
        The calibration; None if there are too few held-out samples or residuals.
    """
    if found is None or len(held_out.sample_names) < FEWEST:
        _log.warning(
            "%d healthy samples were held out, %d are needed to calibrate: p-values will be those of the "
            "negative binomial, which are too small on new samples",
            len(held_out.sample_names),
            FEWEST,
        )
        return None
    if len(held_out.sample_names) < ENOUGH:
        _log.warning(
            "%d healthy samples were held out: p-values are calibrated on few, their far tail is a guess",
            len(held_out.sample_names),
        )
    log_r = cross_fitted_log_r(model, representations, counts)
    return calibration_of(model, log_r, held_out, found)


def calibration_of(
    model: JointModel,
    log_r: Float[np.ndarray, " genes"] | None,
    held_out: AlignedCounts,
    found: ClosestNormal,
) -> Calibration | None:
    """Learn limit and null distribution for given dispersions.

    Args:
        model: Trained.
        log_r: Natural log of each gene's r; None if the model has none per gene.
        held_out: Healthy samples that training did not see.
        found: Their most probable points.

    Returns:
        The calibration; None if there are too few residuals.
    """
    # Where no sample can tell, the limit is that of a model that is true.
    known = [value for value in misfits(held_out, found, log_r) if value is not None] or [1.0]
    limit = float(np.quantile(known, USUAL))
    normal = Posterior(model, misfit_limit=limit, log_r=log_r).of(found, held_out)
    try:
        return Calibration(log_r, limit, NullModel.of(expectations(held_out, normal)))
    except ValueError as error:
        _log.warning("p-values will be those of the negative binomial, too small on new samples: %s", error)
        return None


@torch.no_grad()
def trained_log_r(model: JointModel) -> Float[Tensor, " genes"] | None:
    """Ln r of each gene as trained; None if the model has no r per gene."""
    module = model.decoder.output_module
    anywhere = torch.zeros(1, model.decoder.latent_dim)
    found = None if module.predicts_r else module.log_r_of(model.decoder(anywhere))
    return None if found is None else found[0]


@torch.no_grad()
def cross_fitted_log_r(
    model: JointModel,
    representations: Float[Tensor, "n latent"],
    counts: TrainingCounts,
) -> Float[np.ndarray, " genes"] | None:
    """Ln r of each gene by means that did not see the sample.

    Args:
        model: Trained.
        representations: Of the training samples.
        counts: Theirs.

    Returns:
        ln r; None if the model has no r per gene, as trained if too few samples are left to say more.
    """
    trained = trained_log_r(model)
    if trained is None:
        return None
    chosen = evenly_spaced(len(representations), MOST_SAMPLES)
    rows = torch.as_tensor(chosen)
    n_features = model.decoder.trunk(representations[:1].float()).shape[1]
    if len(rows) < 2 * n_features:
        return trained.double().numpy()
    x = counts.take(chosen)
    mu = leave_one_out_means(model.decoder, representations[rows].float(), x, counts.scaling_factors[rows])
    return refitted_log_r(x, mu, trained).numpy()


def misfits(
    counts: AlignedCounts, found: ClosestNormal, log_r: Float[np.ndarray, " genes"] | None
) -> list[float | None]:
    """Misfit of each sample by its measured genes; None where too few have reads enough to tell.

    Args:
        counts: Healthy samples.
        found: Their most probable points.
        log_r: Natural log of each gene's r; None to keep the decoder's.
    """
    refitted, seen = found if log_r is None else replace(found, r=np.exp(log_r)), counts.measured
    values: list[float | None] = []
    for i, x in enumerate(counts.counts):
        mu, r = refitted.means[i, seen].astype(np.float64), refitted.dispersions(i)[seen]
        told = telling_genes(mu)
        values.append(misfit(mid_p_residuals(x[seen][told], mu[told], r[told])) if len(told) else None)
    return values


def expectations(
    counts: AlignedCounts, normal: ClosestNormal
) -> list[tuple[Float[np.ndarray, " genes"], Expected]]:
    """Reads of each sample's measured genes, and what its closest normal expects of them.

    Args:
        counts: Healthy samples.
        normal: Their closest normals, with departure and uncertainty.
    """
    assert normal.departure is not None
    assert normal.log_mean_variance is not None
    seen, pairs = counts.measured, []
    for i, x in enumerate(counts.counts):
        expected = Expected(
            normal.means[i, seen].astype(np.float64),
            normal.dispersions(i)[seen],
            normal.log_mean_variance[i, seen].astype(np.float64),
            float(normal.departure[i]),
        )
        pairs.append((x[seen].astype(np.float64), expected))
    return pairs
