# SPDX-License-Identifier: BSD-3-Clause
"""Which samples have no close normal, in words. Heavy: commands import it when they run."""

import numpy as np
import pandas as pd

from pydgd.checkpoints.reference import FEWEST
from pydgd.dgd import DGD
from pydgd.words import plural

_N_NAMED = 3
_NOT_TOLD = f"the model kept no reference of at least {FEWEST} held-out samples"


def close_normal_news(fit: pd.DataFrame) -> str | None:
    """A warning that names samples without a close normal; None if every sample has one.

    Args:
        fit: As `ClosestNormal.fit`; one without ``dgd_close_normal`` says nothing.
    """
    if "dgd_close_normal" not in fit:
        return None
    close = fit["dgd_close_normal"]
    if close.isna().any():
        return f"which samples have no close normal is not known: {_NOT_TOLD}"
    far = fit.index[~close.to_numpy(dtype=bool)]
    if not len(far):
        return None
    names = ", ".join(map(str, far[:_N_NAMED])) + (", …" if len(far) > _N_NAMED else "")
    return (
        f"warning: no close normal for {len(far):,} of {plural(len(fit), 'sample')} ({names}): unlike the "
        "healthy samples that training held out. Most tumours are, and organs that training lacks; see "
        "dgd_ood_score and dgd_nearest_labels"
    )


def limits_in_words(model: DGD) -> str:
    """From where on a sample of this model has no close normal.

    Args:
        model: A trained model.
    """
    reference, limits = model.record.reference, model.fit_flags.limits
    if reference is None or limits is None:
        return f"not told: {_NOT_TOLD}"
    misfit, distance = (limit.threshold / float(np.exp(limit.centre)) for limit in limits)
    return (
        f"beyond {misfit:.1f} times the usual misfit or {distance:.1f} times the usual distance of "
        f"{plural(reference.n_samples, 'held-out sample')}"
    )
