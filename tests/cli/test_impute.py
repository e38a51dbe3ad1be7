# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd impute`, and the options of the search."""

import anndata
import numpy as np
import pytest

from pydgd import DGD, read_counts
from pydgd.data.h5ad_writer import write_h5ad


@pytest.fixture
def panel(cohort, tmp_path):
    """The cases with half of their genes."""
    cases = read_counts(cohort / "cases.h5ad")
    write_h5ad(cases[:, : cases.n_vars // 2 + 10].copy(), tmp_path / "panel.h5ad")
    return tmp_path / "panel.h5ad"


def test_impute_writes_what_the_api_returns(pydgd, cohort, panel, tmp_path) -> None:
    """To the bit, at the level asked for."""
    done = pydgd("impute", cohort / "normals.dgd", panel, "-o", tmp_path / "i.h5ad", "--level", "0.8")
    assert done.code == 0
    written = anndata.read_h5ad(tmp_path / "i.h5ad")
    expected = DGD.load(cohort / "normals.dgd").impute(read_counts(panel), level=0.8)
    assert written.var_names.tolist() == expected.var_names.tolist()
    assert written.obs_names.tolist() == expected.obs_names.tolist()
    for layer in ("mean", "lower", "upper"):
        np.testing.assert_array_equal(written.layers[layer], expected.layers[layer])


def test_impute_takes_names(pydgd, cohort, panel, tmp_path) -> None:
    """In the order given; an unknown one is refused by name."""
    genes = DGD.load(cohort / "normals.dgd").genes[-2:][::-1]
    arguments = ["impute", cohort / "normals.dgd", panel, "-o", tmp_path / "i.h5ad", "--targets"]
    assert pydgd(*arguments, ",".join(genes)).code == 0
    assert tuple(anndata.read_h5ad(tmp_path / "i.h5ad").var_names) == genes
    done = pydgd(*arguments, f"{genes[0]},nobody")
    assert done.code != 0
    assert "'nobody'" in done.err


def test_names_may_have_spaces_and_repeats(pydgd, cohort, panel, tmp_path) -> None:
    """As a list in a sentence has them; nothing but commas is no list."""
    first, second = DGD.load(cohort / "normals.dgd").genes[-2:]
    arguments = ["impute", cohort / "normals.dgd", panel, "-o", tmp_path / "i.h5ad", "--targets"]
    assert pydgd(*arguments, f"{second}, {first},{second} ,").code == 0
    assert anndata.read_h5ad(tmp_path / "i.h5ad").var_names.tolist() == [second, first]
    done = pydgd(*arguments, " , ")
    assert done.code == 2
    assert "targets names no gene" in done.err


@pytest.mark.parametrize("name", ["i.h5ad", "i.zarr"])
def test_nothing_to_impute_is_said(pydgd, cohort, tmp_path, name: str) -> None:
    """Counts of all genes, with the repair; no file is left."""
    done = pydgd("impute", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", tmp_path / name)
    assert done.code == 2
    assert "cases.h5ad lacks none of the model's" in done.err
    assert "--targets all" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["closest-normal", "impute"])
@pytest.mark.parametrize("options", [("--likelihood", "contaminated"), ("--scaling", "fitted")])
def test_options_of_the_search(
    pydgd, cohort, panel, tmp_path, command: str, options: tuple[str, str]
) -> None:
    """They reach the search, and the file says so."""
    path = tmp_path / "n.h5ad"
    assert pydgd(command, cohort / "normals.dgd", panel, "-o", path, *options).code == 0
    assert anndata.read_h5ad(path).uns["dgd"][options[0].removeprefix("--")] == options[1]
    done = pydgd(command, cohort / "normals.dgd", panel, "-o", path, options[0], "other")
    assert done.code != 0
    assert "must be one of" in done.err
    assert "read " not in done.err


def test_de_finds_fitted_normals_again(pydgd, cohort, panel, tmp_path) -> None:
    """From a file, as if searched now."""
    model, path = cohort / "normals.dgd", tmp_path / "n.h5ad"
    assert pydgd("closest-normal", model, panel, "-o", path, "--scaling", "fitted").code == 0
    assert pydgd("de", model, panel, "-o", tmp_path / "1.csv", "--normal", path).code == 0
    assert pydgd("de", model, panel, "-o", tmp_path / "2.csv", "--scaling", "fitted").code == 0
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
