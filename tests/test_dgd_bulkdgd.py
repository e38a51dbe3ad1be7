# SPDX-License-Identifier: BSD-3-Clause
"""A model of bulkdgd at work: search, tests, files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pydgd import DGD, differential_expression
from pydgd.cli.facts import model_facts
from pydgd.data import simulate_cohort
from pydgd.errors import ConfigError
from pydgd.inference import SearchOptions

from .checkpoints.peer_files import D, G, write_peer_model


def query(model: DGD) -> pd.DataFrame:
    """Counts drawn from the model itself."""
    joint, generator = model.record.model, torch.Generator().manual_seed(4)
    z = joint.prior.sample(4, generator=generator).float()
    module, s = joint.decoder.output_module, torch.full((4,), 50.0)
    with torch.no_grad():
        outputs = joint.decoder(z)
        parts = outputs if isinstance(outputs, tuple) else (outputs,)
        counts = module.sample(1, *parts, s, generator=generator)[0]
    return pd.DataFrame(counts.numpy().astype(int), index=list("abcd"), columns=list(model.genes))


@pytest.mark.parametrize("scheme", ["second_order", "one_opt", "two_opt"])
@pytest.mark.parametrize("kind", ["lgmm", "tgmm"])
@pytest.mark.parametrize("module", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
def test_an_imported_model_finds_closest_normals(module: str, kind: str, scheme: str, tmp_path: Path) -> None:
    """Factors are mean counts; our search ends above every component's mean; tests work."""
    model = DGD.from_bulkdgd(
        write_peer_model(tmp_path, release=1 if kind == "lgmm" else 2, module=module, kind=kind)
    )
    counts = query(model)
    normal = model.closest_normal(counts, options=SearchOptions(scheme=scheme))
    np.testing.assert_allclose(normal.scaling_factors, counts.mean(axis=1))
    assert normal.fit["dgd_distance"].isna().all()
    assert normal.fit["dgd_close_normal"].isna().all()
    table = differential_expression(counts, normal)
    assert len(table) == 4 * G
    assert table["pvalue"].between(0, 1).all()
    if scheme != "second_order":
        # Those start from draws, in a tgmm, and make a fixed number of steps.
        return
    joint, x = model.record.model, torch.tensor(counts.to_numpy(), dtype=torch.float32)
    s = torch.tensor(normal.scaling_factors, dtype=torch.float32)
    starts = [joint.log_joint(x, mean.expand(4, -1).float(), s).detach() for mean in joint.prior.means]
    found = joint.log_joint(x, torch.tensor(normal.representations).float(), s).detach()
    assert (found >= torch.stack(starts).max(dim=0).values - 1e-3).all()


def test_missing_genes_are_masked(tmp_path: Path) -> None:
    """The profile stands in for them in the scaling factor: half of the genes give nearly the same one."""
    model = DGD.from_bulkdgd(write_peer_model(tmp_path))
    counts = query(model) * 100
    whole, half = model.closest_normal(counts), model.closest_normal(counts.iloc[:, ::2])
    assert half.measured.sum() == 6
    assert np.abs(np.log(half.scaling_factors / whole.scaling_factors)).max() < 1


def test_an_imported_model_is_saved_and_described(tmp_path: Path) -> None:
    """The file gives the same answers; `info` says where it comes from."""
    model = DGD.from_bulkdgd(write_peer_model(tmp_path))
    model.save(tmp_path / "model.dgd")
    again = DGD.load(tmp_path / "model.dgd")
    assert again.provenance["sha256"] == model.provenance["sha256"]
    counts = query(model)
    np.testing.assert_array_equal(again.closest_normal(counts).means, model.closest_normal(counts).means)
    facts = model_facts(again)
    assert facts["training"] == "by bulkdgd 2, imported"
    assert facts["fit"] == "not told by the files that were imported"
    assert facts["samples"] == "0 trained on, 0 held out"
    assert again.representations.shape == (0, D)


def test_a_model_of_ours_goes_there_and_comes_back(tmp_path: Path) -> None:
    """Trained with the mean rule and a hidden layer; the default, log-linear one has no place there."""
    normals = simulate_cohort(n_tissues=2, n_per_tissue=15, n_genes=60, seed=2).normals
    options = {"latent_dim": 3, "epochs": 2, "scaling": "mean", "n_units_hidden_layers": (8,)}
    model = DGD.fit(normals, **options)
    model.to_bulkdgd(tmp_path)
    back = DGD.from_bulkdgd(tmp_path, representations=tmp_path / "representations_train.csv")
    z = model.record.representations
    with torch.no_grad():
        torch.testing.assert_close(
            back.record.model.decoder(z), model.record.model.decoder(z), rtol=0, atol=0
        )
    assert back.labels is not None
    assert back.labels.tolist() == model.labels.tolist()
    with pytest.raises(ConfigError, match=r"scaling factors follow the rule 'total'.*no hidden layer"):
        DGD.fit(normals, latent_dim=3, epochs=1).to_bulkdgd(tmp_path)
