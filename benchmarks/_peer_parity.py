# SPDX-License-Identifier: BSD-3-Clause
"""How far imported models of bulkdgd are from bulkdgd's own outputs: the worst of its six combinations."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from pydgd import DGD
from pydgd.checkpoints import read_bulkdgd_table

COMBINATIONS = [
    f"{module}__{kind}"
    for module in ("nb_feature_dispersion", "nb_full_dispersion", "poisson")
    for kind in ("lgmm", "tgmm")
]
SCHEMES = ("one_opt", "two_opt")


class Parity(NamedTuple):
    """One quantity against the peer's.

    Attributes:
        what: The quantity.
        worst: Largest difference, relative or in nats.
        limit: What it must be below.
    """

    what: str
    worst: float
    limit: float


def parity(artifacts: Path, scratch: Path) -> list[Parity]:
    """Import, save and load the six models, and compare what they give with the CSVs beside them.

    Args:
        artifacts: Folder with ``<module>__<mixture>/`` and ``genes.txt``.
        scratch: Folder for the model files.

    Returns:
        Worst differences over models, searches, 30 samples and 1,000 genes. Decoders run in float32.
    """
    limits = {
        "means (relative)": 1e-6,
        "r (relative)": 1e-6,
        "log-mass of a sample (relative)": 1e-6,
        "mixture log-density (nats)": 1e-5,
        "responsibilities, joint densities (relative)": 1e-5,
    }
    found: dict[str, list[float]] = {what: [] for what in limits}
    for name in COMBINATIONS:
        model = _imported(artifacts / name, scratch)
        for scheme in SCHEMES:
            for what, difference in _differences(model, artifacts / name, scheme):
                found[what].append(difference)
    return [Parity(what, max(found[what]), limit) for what, limit in limits.items()]


def _imported(folder: Path, scratch: Path) -> DGD:
    DGD.from_bulkdgd(folder, genes=folder.parent / "genes.txt").save(scratch / f"{folder.name}.dgd")
    return DGD.load(scratch / f"{folder.name}.dgd")


def _differences(model: DGD, folder: Path, scheme: str) -> Iterator[tuple[str, float]]:
    joint, genes = model.record.model, list(model.genes)
    module = joint.decoder.output_module
    z = torch.tensor(read_bulkdgd_table(folder / f"rep_{scheme}.csv").obsm["X_dgd"])
    losses = pd.read_csv(folder / f"losses_{scheme}.csv", index_col=0)
    counts = read_bulkdgd_table(folder.parent / "counts.csv")[losses.index, genes].to_df()
    x = torch.tensor(counts.to_numpy(), dtype=torch.float32)
    with torch.no_grad():
        outputs = joint.decoder(z.float())
        nll = module.nll(x, outputs, x.mean(dim=1)).numpy()
        density, components = joint.prior.log_prob(z).numpy(), joint.prior.component_log_prob(z).numpy()
        log_r = module.log_r_of(outputs)
        shares = joint.prior.responsibilities(z).numpy()
    yield "means (relative)", _relative(module.means_of(outputs), folder / f"pred_means_{scheme}.csv", genes)
    if log_r is not None:
        yield "r (relative)", _relative(log_r.exp(), folder / f"pred_r_values_{scheme}.csv", genes)
    yield "log-mass of a sample (relative)", float(np.abs(nll / losses["recon_nll"] - 1).max())
    stored = pd.read_csv(folder / f"latent_log_prob_comp_{scheme}.csv", index_col=0).to_numpy()
    expected = np.logaddexp.reduce(stored, axis=1)
    yield "mixture log-density (nats)", float(np.abs(density - expected).max())
    if scheme == "two_opt":
        told = pd.read_csv(folder / "probdens_rep.csv", index_col=0).iloc[:, : shares.shape[1]].to_numpy()
        ours = shares if joint.prior.name == "em" else np.exp(components)
        # Below 1e-30 its float32 and CSV hold less than seven digits, or 0.
        relative = np.abs(ours - told) / np.maximum(told, 1e-30)
        yield "responsibilities, joint densities (relative)", float(relative.max())


def _relative(values: torch.Tensor, path: Path, genes: list[str]) -> float:
    stored = read_bulkdgd_table(path)[:, genes].X
    return float(np.abs(values.double().numpy() / stored - 1).max())
