# SPDX-License-Identifier: BSD-3-Clause
"""What a laboratory's samples say of it, and a model whose log means are moved by that."""

import copy
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from pydgd.checkpoints import ModelRecord, with_content_hash
from pydgd.data import AlignedCounts
from pydgd.dgd import DGD
from pydgd.errors import ConfigError
from pydgd.inference import SearchOptions
from pydgd.inference.closest_normal import find_and_decode
from pydgd.stats.offsets import Offsets, robust_offsets

FEWEST = 3
"""Of fewer samples a gene that differs in one cannot be told from one that the laboratory reads otherwise."""


def check_scaling(model: DGD) -> None:
    """Refuse a model whose means are not shares of the reads.

    Raises:
        ConfigError: If its scaling factors follow another rule than ``total``.
    """
    rule = model.record.model.scaling
    if rule != "total":
        raise ConfigError(
            f"offsets need means per total reads, the model's scaling is {rule!r}; train with scaling='total'"
        )


class SeenSamples:
    """Samples of a laboratory, and what a model of another expects of them at their most probable points.

    Args:
        model: The model.
        counts: Theirs.
        options: How hard to search.
    """

    def __init__(self, model: DGD, counts: AlignedCounts, options: SearchOptions | None) -> None:
        normal = find_and_decode(model.record.model, counts, options=options)
        known = model.record.calibration
        if known is not None and known.log_r is not None:
            normal = replace(normal, r=np.exp(known.log_r))
        self._measured = counts.measured
        self._counts = counts.counts[:, self._measured].astype(np.float64)
        self._mu = normal.means[:, self._measured].astype(np.float64)
        self._r = np.stack([normal.dispersions(i)[self._measured] for i in range(len(self._mu))])

    def offsets(self, rows: Int[np.ndarray, " some"]) -> Offsets:
        """Offsets of all genes from some of the samples; genes that are not measured have none.

        Args:
            rows: Numbers of the samples.
        """
        found = robust_offsets(self._counts[rows], self._mu[rows], self._r[rows])
        return Offsets(*(_spread(values, self._measured) for values in found))


def shifted(model: DGD, offsets: Offsets, *, n_samples: int) -> DGD:
    """A model whose log means are greater by given offsets.

    Means are shares of the reads, far below 1, where softplus and sigmoid are exponentials: what is added to
    the projection multiplies the mean. Of a tenth of all reads an offset of 0.40 makes 0.38 or 0.36.

    Args:
        model: With scaling ``total``; not changed.
        offsets: Of the model's genes.
        n_samples: From which they come.
    """
    record = model.record
    joint = copy.deepcopy(record.model)
    with torch.no_grad():
        bias = joint.decoder.output_module.layer_means.bias
        bias.add_(torch.as_tensor(offsets.value, dtype=bias.dtype))
        profile = joint.profile * torch.as_tensor(np.exp(offsets.value), dtype=joint.profile.dtype)
        joint.profile.copy_(profile / profile.mean())
    note = {"n_samples": n_samples, "from_sha256": record.content_hash}
    provenance = {**record.provenance, "adapted_to": note}
    return DGD(with_content_hash(replace(_less_sure(record, offsets), model=joint, provenance=provenance)))


def _less_sure(record: ModelRecord, offsets: Offsets) -> ModelRecord:
    """The record with the offsets' error in its dispersions: log variances add up."""
    known = record.calibration
    if known is None or known.log_r is None:
        return record
    log_r = -np.log(np.exp(-known.log_r) + offsets.variance)
    return replace(record, calibration=replace(known, log_r=log_r))


def _spread(
    values: Float[np.ndarray, " some"], measured: Bool[np.ndarray, " genes"]
) -> Float[np.ndarray, " genes"]:
    everywhere = np.zeros(len(measured))
    everywhere[measured] = values
    return everywhere
