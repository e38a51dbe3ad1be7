# SPDX-License-Identifier: BSD-3-Clause
"""How well a model describes healthy samples that it did not see."""

from pathlib import Path

import numpy as np
import torch

from pydgd.data import align_to_genes, scaling_factors
from pydgd.inference import find_representations

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def score(model, adata):
    """NLL per count at the MAP z, and of the half of the genes that z did not see."""
    seen = model.closest_normal(adata).fit["dgd_nll_per_gene"].mean()
    joint = model.record.model
    aligned = align_to_genes(adata, model.genes)
    half = np.zeros(len(model.genes), dtype=bool)
    half[np.random.default_rng(1).permutation(len(half))[: len(half) // 2]] = True
    factors = scaling_factors(
        aligned.counts, rule=joint.scaling, profile=joint.profile.double().numpy(), measured=half
    )
    counts, s = (torch.as_tensor(x, dtype=torch.float32) for x in (aligned.counts, factors))
    mask = torch.as_tensor(half)
    z = find_representations(joint, counts, s, measured=mask).z.float()
    with torch.no_grad():
        nll = joint.decoder.output_module.nll(counts, joint.decoder(z), s, mask=~mask)
    return float(seen), float(nll.mean()) / int((~half).sum())
