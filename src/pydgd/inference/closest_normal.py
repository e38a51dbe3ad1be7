# SPDX-License-Identifier: BSD-3-Clause
"""The closest normal of labelled counts: search, decode, label."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pydgd.core.model import JointModel
from pydgd.data import AlignedCounts, scaling_factors
from pydgd.inference.result import ClosestNormal
from pydgd.inference.search import Representations, SearchOptions, find_representations

_log = logging.getLogger(__name__)

# Converged: one more Newton step would gain less than this, in nats; the float32 sums are not finer.
CONVERGED = 0.01


def closest_normal(
    model: JointModel,
    query: AlignedCounts,
    *,
    options: SearchOptions | None = None,
    provenance: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ClosestNormal:
    """Find each sample's most probable representation and decode it.

    Args:
        model: Trained on healthy samples.
        query: Counts in the model's gene order.
        options: How hard to search.
        provenance: What to record of the model.
        progress: Called with samples done and samples in all.

    Returns:
        The closest normal of each sample; a sample's own does not depend on the others.

    Raises:
        CountsError: If a sample has too few reads of the model's genes for a scaling factor.
    """
    factors = scaling_factors(
        query.counts,
        rule=model.scaling,
        profile=model.profile.double().numpy(),
        measured=query.measured,
        sample_names=query.sample_names,
    )
    # float32 like the model, also where a count is beyond 2**24: its error is then below 6e-8 of the count.
    counts = torch.as_tensor(query.counts, dtype=model.profile.dtype)
    s = torch.as_tensor(factors, dtype=counts.dtype)
    measured = torch.as_tensor(query.measured)
    found = find_representations(model, counts, s, measured=measured, options=options, progress=progress)
    _report_unconverged(found, query.sample_names)
    means, r = _decode(model, found.z.to(counts.dtype), s)
    return ClosestNormal(
        sample_names=query.sample_names,
        genes=query.genes,
        measured=query.measured,
        representations=found.z.numpy(),
        means=means,
        r=r,
        scaling_factors=factors,
        component=found.component.numpy(),
        fit=_fit_table(found, factors, query),
        provenance=dict(provenance or {}, point="map"),
    )


def _report_unconverged(found: Representations, sample_names: tuple[str, ...]) -> None:
    names = [
        name for name, rest in zip(sample_names, found.decrement.tolist(), strict=True) if rest >= CONVERGED
    ]
    if names:
        _log.warning(
            "%d of %d samples did not converge (first: %r): their closest normal may be improved by a larger "
            "max_iter, see dgd_newton_decrement",
            len(names),
            len(sample_names),
            names[0],
        )


@torch.no_grad()
def _decode(model: JointModel, z: Tensor, s: Tensor) -> tuple[np.ndarray, np.ndarray | None]:
    """Expected reads and r, sample by sample, so that company does not change a bit."""
    module = model.decoder.output_module
    means, dispersions, shared = [], [], True
    for row, factor in zip(z, s, strict=True):
        # Twice the same row: r per gene then has one row, r per sample two.
        outputs = model.decoder(row.expand(2, -1))
        means.append(module.means_of(outputs)[0] * factor)
        log_r = module.log_r_of(outputs)
        if log_r is not None:
            shared = len(log_r) == 1
            dispersions.append(log_r[0])
    mu = torch.stack(means).numpy()
    if not dispersions:
        return mu, None
    chosen = dispersions[0] if shared else torch.stack(dispersions)
    return mu, chosen.double().clamp(-300.0, 300.0).exp().numpy()


def _fit_table(found: Representations, factors: np.ndarray, query: AlignedCounts) -> pd.DataFrame:
    nll = found.nll.numpy()
    n_measured = int(query.measured.sum())
    columns = {
        "dgd_nll": nll,
        "dgd_nll_per_gene": nll / n_measured,
        "dgd_component": found.component.numpy(),
        "dgd_converged": found.decrement.numpy() < CONVERGED,
        "dgd_newton_decrement": found.decrement.numpy(),
        "dgd_spread_over_starts": found.spread.numpy(),
        "dgd_n_evaluations": found.evaluations.numpy(),
        "dgd_scaling_factor": factors,
        "dgd_measured_share": np.full(len(nll), n_measured / len(query.genes)),
    }
    return pd.DataFrame(columns, index=pd.Index(query.sample_names))
