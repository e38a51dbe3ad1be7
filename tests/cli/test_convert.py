# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd convert`: models and tables of bulkdgd in and out, by what the paths are."""

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from pydgd import DGD

from ..checkpoints.peer_files import GENES, G, write_peer_model
from .conftest import Result

Run = Callable[..., Result]


def test_a_model_there_and_back(pydgd: Run, tmp_path: Path) -> None:
    """A folder becomes a file that `info` describes, and a folder again."""
    write_peer_model(tmp_path / "in", kind="lgmm")
    model = tmp_path / "model.dgd"
    found = pydgd("convert", tmp_path / "in", "-o", model)
    assert (found.code, "11 genes" in found.err) == (0, True)
    assert "by bulkdgd 2, imported" in pydgd("info", model).out
    assert pydgd("convert", model, "-o", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "genes.txt").read_text().split() == GENES
    assert pydgd("convert", tmp_path / "out" / "model.yaml", "-o", tmp_path / "again.dgd").code == 0
    first, again = (DGD.load(path).record.model.state_dict() for path in (model, tmp_path / "again.dgd"))
    assert all(bool((first[name] == again[name]).all()) for name in first)


def test_parts_can_be_elsewhere(pydgd: Run, tmp_path: Path) -> None:
    """Gene list and training samples by their options."""
    write_peer_model(tmp_path / "in")
    (tmp_path / "in" / "genes.txt").rename(tmp_path / "list.txt")
    table = tmp_path / "rep.csv"
    table.write_text(",latent_dim_1,latent_dim_2,latent_dim_3,organ\nS1,0,1,2,liver\n")
    failed = pydgd("convert", tmp_path / "in", "-o", tmp_path / "m.dgd")
    assert (failed.code, "genes.txt does not exist" in failed.err) == (2, True)
    options = ["--genes", tmp_path / "list.txt", "--representations", table, "--label-key", "organ"]
    assert pydgd("convert", tmp_path / "in", *options, "-o", tmp_path / "m.dgd").code == 0
    labels = DGD.load(tmp_path / "m.dgd").labels
    assert labels is not None
    assert labels.to_dict() == {"S1": "liver"}


def test_tables_of_a_closest_normal(pydgd: Run, tmp_path: Path) -> None:
    """What `closest-normal` wrote becomes bulkdgd's CSVs, and these h5ad."""
    write_peer_model(tmp_path / "in", module="nb_full_dispersion")
    counts = pd.DataFrame(np.arange(2 * G).reshape(2, G) + 5, index=["S1", "S2"], columns=GENES)
    counts.to_csv(tmp_path / "counts.csv")
    pydgd("convert", tmp_path / "in", "-o", tmp_path / "m.dgd")
    normal = tmp_path / "normal.h5ad"
    assert pydgd("closest-normal", tmp_path / "m.dgd", tmp_path / "counts.csv", "-o", normal).code == 0
    held = anndata.read_h5ad(normal)
    for kind, expected in {
        "samples": counts.to_numpy(),
        "means": held.layers["dgd_mean"] / counts.to_numpy().mean(axis=1, keepdims=True),
        "r-values": held.layers["dgd_r"],
        "representations": held.obsm["X_dgd"],
    }.items():
        path = tmp_path / f"{kind}.csv.gz"
        assert pydgd("convert", normal, "-o", path, "--table", kind).code == 0
        assert pydgd("convert", path, "-o", tmp_path / "back.h5ad").code == 0
        back = anndata.read_h5ad(tmp_path / "back.h5ad")
        np.testing.assert_allclose(back.obsm.get("X_dgd", back.X), expected, rtol=1e-6)


def test_wrong_paths_are_refused(pydgd: Run, cohort: Path, tmp_path: Path) -> None:
    """Each with what to give instead; nothing is left behind."""
    write_peer_model(tmp_path / "in")
    model = cohort / "normals.dgd"
    for arguments, message in (
        ([tmp_path / "in", "-o", tmp_path / "x.h5ad"], "give a file name that ends in .dgd"),
        ([tmp_path / "none.yaml", "-o", tmp_path / "x.dgd"], "does not exist"),
        ([model, "-o", tmp_path / "x.yaml"], "so give a folder"),
        ([model, "-o", tmp_path / "x"], "follow the rule 'total'"),
        ([model, "-o", tmp_path / "x", "--genes", "g.txt"], "these are for models of bulkdgd"),
        (
            [tmp_path / "t.csv", "-o", tmp_path / "x.h5ad", "--release", "2"],
            "these are for models of bulkdgd",
        ),
        ([tmp_path / "none.h5ad", "-o", tmp_path / "x.csv"], "no such file"),
        ([cohort / "normals.h5ad", "-o", tmp_path / "x.csv", "--table", "z"], "kind must be one of samples"),
        (
            [cohort / "normals.h5ad", "-o", tmp_path / "x.csv", "--table", "means"],
            "what closest-normal wrote",
        ),
        ([cohort / "normals.h5ad", "-o", tmp_path / "x.h5ad"], "that ends in .csv, .csv.gz"),
        ([tmp_path / "none.csv", "-o", tmp_path / "x.h5ad"], "no such file"),
    ):
        found = pydgd("convert", *arguments)
        assert (found.code, message in found.err.replace("\n", " ")) == (2, True), found.err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
