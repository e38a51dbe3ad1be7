# SPDX-License-Identifier: BSD-3-Clause
"""Samples' positions in a model's latent space, whatever holds them."""

import re
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from numpy.typing import NDArray
from torch import Tensor

from pydgd.core.latent import LatentPrior
from pydgd.dgd import DGD
from pydgd.errors import ConfigError
from pydgd.inference import ClosestNormal
from pydgd.words import plural

Source: TypeAlias = AnnData | pd.DataFrame | ClosestNormal | None
"""Closest normals, an AnnData with ``obsm["X_dgd"]``, samples by dimensions, or None for training samples."""

_BLOCK = 64  # rows
_LATENT = re.compile(r"z[1-9]\d*")


class Positions(NamedTuple):
    """Named rows.

    Attributes:
        names: Of the samples.
        z: Representations, (N, D), float64.
    """

    names: pd.Index
    z: Tensor


def positions(model: DGD, source: Source) -> Positions:
    """Representations of a source in the space of a model.

    Args:
        model: The trained model.
        source: What holds them.

    Raises:
        ConfigError: If there are none, another model found them, their number of dimensions is another than
            the model's, a column of a table is missing, or one is not finite.
    """
    check_model(model, source)
    frame = _frame(model, source)
    values = frame.to_numpy(dtype=float)
    wanted = model.record.model.prior.latent_dim
    if values.shape[1] != wanted:
        raise ConfigError(
            f"the representations have {plural(values.shape[1], 'dimension')}, the model has {wanted}; give "
            "those that this model found"
        )
    if not len(values):
        raise ConfigError("there is no sample; a model that was imported may have no training samples")
    if not np.isfinite(values).all():
        row = frame.index[~np.isfinite(values).all(axis=1)][0]
        raise ConfigError(f"the representation of sample {row!r} has a value that is not finite")
    return Positions(pd.Index(frame.index.astype(str)), torch.as_tensor(values))


def check_model(model: DGD, source: Source) -> None:
    """Refuse closest normals that say that another model found them: its space means something else.

    Args:
        model: The trained model.
        source: What holds representations.

    Raises:
        ConfigError: If the content hashes differ.
    """
    if isinstance(source, ClosestNormal):
        known = source.provenance
    else:
        known = source.uns.get("dgd", {}) if isinstance(source, AnnData) else {}
    found, wanted = str(known.get("model_sha256", "")), model.record.content_hash
    if found and wanted and found != wanted:
        raise ConfigError(
            f"the closest normals are of another model: SHA-256 {found[:12]}…, this one has {wanted[:12]}…; "
            "give the model that they were found with, or search again"
        )


def joint_log_densities(prior: LatentPrior, z: Tensor) -> NDArray[np.float64]:
    """Log of weight times density of each row and component, (N, K), nats.

    Args:
        prior: The mixture.
        z: Representations, (N, D), N at least 1.
    """
    parts = []
    with torch.no_grad():
        for rows in torch.split(z, _BLOCK):
            # Blocks of one size, so that company does not change a bit of a row's densities.
            full = torch.cat([rows, rows[-1:].expand(_BLOCK - len(rows), -1)])
            parts.append(prior.component_log_prob(full)[: len(rows)])
    return np.asarray(torch.cat(parts).double().numpy())


def _frame(model: DGD, source: Source) -> pd.DataFrame:
    if source is None:
        return model.representations
    if isinstance(source, ClosestNormal):
        return pd.DataFrame(source.representations, index=pd.Index(source.sample_names))
    if isinstance(source, AnnData):
        if "X_dgd" not in source.obsm:
            raise ConfigError(
                "the AnnData has no obsm['X_dgd']; give what ClosestNormal.to_anndata returns or `pydgd "
                "closest-normal` wrote"
            )
        return pd.DataFrame(np.asarray(source.obsm["X_dgd"]), index=source.obs_names)
    numbers = source.select_dtypes("number")
    # A table of DGD.representations, perhaps with more columns, whatever their order.
    named = {str(name): name for name in numbers if _LATENT.fullmatch(str(name))}
    if not named:
        return numbers
    wanted = [f"z{d}" for d in range(1, model.record.model.prior.latent_dim + 1)]
    if missing := [name for name in wanted if name not in named]:
        raise ConfigError(
            f"the table lacks {', '.join(missing[:3])} of the model's {plural(len(wanted), 'dimension')} "
            f"(z1 to {wanted[-1]}); give the representations that this model found"
        )
    if len(named) > len(wanted):
        raise ConfigError(
            f"the representations have {plural(len(named), 'dimension')}, the model has {len(wanted)}; give "
            "those that this model found"
        )
    return numbers[[named[name] for name in wanted]]
