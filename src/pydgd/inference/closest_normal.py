# SPDX-License-Identifier: BSD-3-Clause
"""The closest normal of labelled counts: search, decode, label."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from pydgd.core.model import JointModel
from pydgd.data import AlignedCounts, scaling_factors
from pydgd.inference.decoding import decode
from pydgd.inference.flags import FitFlags
from pydgd.inference.posterior import Posterior
from pydgd.inference.result import ClosestNormal
from pydgd.inference.search import Representations, SearchOptions, find_representations
from pydgd.words import plural

_log = logging.getLogger(__name__)

# Converged: one more Newton step would gain less than this, in nats; the float32 sums are not finer.
CONVERGED = 0.01


class How(TypedDict, total=False):
    """How closest normals are found; every argument may be left out.

    Attributes:
        options: How hard to search.
        flags: What says of each fit whether it is that of a healthy sample.
        posterior: What takes a sample's departure out of its closest normal; None for the MAP.
        provenance: What to record of the model.
        progress: Called with samples done and samples in all.
    """

    options: SearchOptions | None
    flags: FitFlags | None
    posterior: Posterior | None
    provenance: dict[str, Any] | None
    progress: Callable[[int, int], None] | None


def closest_normal(model: JointModel, query: AlignedCounts, **how: Unpack[How]) -> ClosestNormal:
    """Find each sample's most probable representation and decode it.

    Args:
        model: Trained on healthy samples.
        query: Counts in the model's gene order.
        **how: See `How`.

    Returns:
        The closest normal of each sample; a sample's own does not depend on the others.

    Raises:
        CountsError: If a sample has too few reads of the model's genes for a scaling factor.
    """
    normal = find_and_decode(model, query, **how)
    warn_of_unconverged(normal.fit)
    return normal


def find_and_decode(model: JointModel, query: AlignedCounts, **how: Unpack[How]) -> ClosestNormal:
    """As `closest_normal`, without a word about searches that did not converge.

    Args:
        model: Trained on healthy samples.
        query: Counts in the model's gene order.
        **how: See `How`.
    """
    normal = _most_probable(model, query, **how)
    flags, posterior = how.get("flags"), how.get("posterior")
    if flags is not None:
        normal = flags.flagged(normal, query)
    if posterior is None:
        return normal
    return replace(posterior.of(normal, query), most_probable=normal.representations)


def _most_probable(model: JointModel, query: AlignedCounts, **how: Unpack[How]) -> ClosestNormal:
    options = how.get("options") or SearchOptions()
    factors = scaling_factors_of(model, query)
    # float32 like the model, also where a count is beyond 2**24: its error is then below 6e-8 of the count.
    counts = torch.as_tensor(query.counts, dtype=model.profile.dtype)
    s = torch.as_tensor(factors, dtype=counts.dtype)
    measured = torch.as_tensor(query.measured)
    found = find_representations(
        model, counts, s, measured=measured, options=options, progress=how.get("progress")
    )
    factors = factors * np.exp(found.scaling_shift.numpy())
    means, r = decode(model, found.z, factors)
    return ClosestNormal(
        sample_names=query.sample_names,
        genes=query.genes,
        measured=query.measured,
        representations=found.z.numpy(),
        means=means,
        r=r,
        scaling_factors=factors,
        component=found.component.numpy(),
        fit=_fit_table(found, factors, query).assign(**_shift(found, options)),
        provenance=_provenance(how.get("provenance"), options),
    )


def scaling_factors_of(model: JointModel, query: AlignedCounts) -> Float[np.ndarray, " n"]:
    """Scaling factors of samples by the model's rule.

    Args:
        model: It knows the rule and the profile.
        query: Counts in the model's gene order.

    Raises:
        CountsError: If a sample has too few reads of the model's genes.
    """
    return scaling_factors(
        query.counts,
        rule=model.scaling,
        profile=model.profile.double().numpy(),
        measured=query.measured,
        sample_names=query.sample_names,
    )


def warn_of_unconverged(fit: pd.DataFrame) -> None:
    """Log the samples whose search did not converge.

    Args:
        fit: As `ClosestNormal.fit`, of all samples of a query.
    """
    lost = fit.index[~fit["dgd_converged"].to_numpy(dtype=bool)]
    if len(lost):
        _log.warning(
            "the search did not converge for %d of %s (first: %r); dgd_newton_decrement says how many nats "
            "one more step still promises",
            len(lost),
            plural(len(fit), "sample"),
            lost[0],
        )


def _shift(found: Representations, options: SearchOptions) -> dict[str, np.ndarray]:
    """By how much ln s departs from the rule's, if it was fitted."""
    return {"dgd_scaling_shift": found.scaling_shift.numpy()} if options.scaling == "fitted" else {}


def _provenance(known: dict[str, Any] | None, options: SearchOptions) -> dict[str, Any]:
    """What is known of the model, the point, and what the search was asked for besides effort."""
    asked = {"likelihood": options.likelihood, "scaling": options.scaling}
    return {**(known or {}), "point": "map", **asked}


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
