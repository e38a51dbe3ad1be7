# SPDX-License-Identifier: BSD-3-Clause
"""Any number of samples: chunk by chunk the results are those of all at once, in every format."""

import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd import DGD, differential_expression, read_counts
from pydgd.cli.closest_normal import closest_normal
from pydgd.cli.de import de
from pydgd.cli.de_options import DE_OPTIONS
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.inference import chunks
from pydgd.stats import differential_expression_table

from .test_commands import WITHOUT_TERMINAL

TEXT = ["sample", "gene", "untested_reason"]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 samples at a time, whatever the memory: 20 samples are 3 chunks."""
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 8)


@pytest.fixture(scope="module")
def query(healthy: Path) -> AnnData:
    """The healthy samples in memory."""
    return read_counts(healthy)


@pytest.fixture(scope="module")
def expected(cohort: Path, query: AnnData) -> pd.DataFrame:
    """The table of the API, all at once."""
    table = differential_expression(query, DGD.load(cohort / "normals.dgd").closest_normal(query))
    return table.astype(dict.fromkeys(TEXT, object))


def read_table(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
    else:
        table = pd.read_csv(path, sep="\t" if ".tsv" in path.name else ",", float_precision="round_trip")
    return table.astype(dict.fromkeys(TEXT, object))


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("name", ["n.h5ad", "n.zarr"])
def test_the_file_is_that_of_the_api(pydgd, cohort, query, tmp_path, form, name) -> None:
    """Counts, expected reads, representations, labels and fit, to the bit; X stays dense or sparse."""
    write_h5ad(AnnData(form(query.X), query.obs, query.var), tmp_path / "query.h5ad")
    done = pydgd("closest-normal", cohort / "normals.dgd", tmp_path / "query.h5ad", "-o", tmp_path / name)
    assert done.code == 0, done.err
    assert "closest normal: 20 of 20 samples" in done.err
    found = (anndata.read_zarr if name.endswith("zarr") else anndata.read_h5ad)(tmp_path / name)
    given = read_counts(tmp_path / "query.h5ad")
    whole = DGD.load(cohort / "normals.dgd").closest_normal(given).to_anndata(given)
    whole.strings_to_categoricals()
    assert isinstance(found.X, type(given.X))
    for mine, theirs in ((found.X, whole.X), (found.layers["dgd_mean"], whole.layers["dgd_mean"])):
        plain = [x.toarray() if sparse.issparse(x) else np.asarray(x) for x in (mine, theirs)]
        assert plain[0].tobytes() == plain[1].tobytes()
    assert found.obsm["X_dgd"].tobytes() == whole.obsm["X_dgd"].tobytes()
    pd.testing.assert_frame_equal(found.obs, whole.obs, check_exact=True, check_dtype=False)
    pd.testing.assert_frame_equal(found.var, whole.var, check_exact=True, check_dtype=False)
    assert found.uns["dgd"] == whole.uns["dgd"]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("name", ["de.parquet", "de.csv", "de.tsv.gz"])
def test_the_table_is_that_of_the_api(pydgd, cohort, healthy, expected, tmp_path, name) -> None:
    """Every digit, one header, samples in their order."""
    done = pydgd("de", cohort / "normals.dgd", healthy, "-o", tmp_path / name)
    assert done.code == 0, done.err
    assert "genes that differ at padj < 0.05: median" in done.err
    assert f"{len(expected):,} rows" in done.err
    pd.testing.assert_frame_equal(read_table(tmp_path / name), expected, check_dtype=False, rtol=0, atol=0)


@pytest.mark.usefixtures("small_chunks")
def test_parquet_keeps_types_and_settings(pydgd, cohort, healthy, tmp_path) -> None:
    """Samples and genes are categories over all chunks; attrs has the settings, as pandas writes them."""
    pydgd("de", cohort / "normals.dgd", healthy, "-o", tmp_path / "de.parquet")
    table = pd.read_parquet(tmp_path / "de.parquet")
    assert table["sample"].cat.categories.size == 20
    assert table["gene"].cat.categories.size == 148
    assert table.attrs["rule"] == "equal-tail mid-p"


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("n.h5ad", []),
        ("n.h5ad", ["--point", "map"]),
        ("n.h5ad", ["--no-means"]),
        ("n.zarr", ["--no-means"]),
    ],
)
def test_saved_closest_normals_give_the_same_table(pydgd, cohort, healthy, tmp_path, name, options) -> None:
    """Byte for byte, without a search, whatever the point, whether or not expected reads are in the file."""
    model, counts = cohort / "normals.dgd", healthy
    assert pydgd("closest-normal", model, counts, "-o", tmp_path / name, *options).code == 0
    point = options if "--point" in options else []
    assert pydgd("de", model, counts, "-o", tmp_path / "searched.parquet", *point).code == 0
    done = pydgd("de", model, counts, "-o", tmp_path / "saved.parquet", "--normal", tmp_path / name)
    assert done.code == 0, done.err
    assert "closest normal" not in done.err
    assert "testing: 20 of 20 samples" in done.err
    assert (tmp_path / "saved.parquet").read_bytes() == (tmp_path / "searched.parquet").read_bytes()


def test_saved_closest_normals_serve_some_of_the_samples(
    pydgd, cohort, healthy, expected, query, tmp_path
) -> None:
    """Found by name."""
    model, counts = cohort / "normals.dgd", healthy
    pydgd("closest-normal", model, counts, "-o", tmp_path / "n.h5ad")
    arguments = ["de", model, counts, "--normal", tmp_path / "n.h5ad", "--where", "tissue=kidney"]
    done = pydgd(*arguments, "-o", tmp_path / "de.csv")
    assert done.code == 0, done.err
    assert "read 10 samples x 150 genes" in done.err
    wanted = expected[expected["sample"].isin(query.obs_names[query.obs["tissue"] == "kidney"])]
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "de.csv"), wanted.reset_index(drop=True), check_dtype=False, rtol=0, atol=0
    )


def test_no_means_leaves_out_what_is_large(pydgd, cohort, tmp_path) -> None:
    """The representations and the fit stay."""
    pydgd(
        "closest-normal",
        cohort / "normals.dgd",
        cohort / "cases.h5ad",
        "-o",
        tmp_path / "n.h5ad",
        "--no-means",
    )
    found = anndata.read_h5ad(tmp_path / "n.h5ad")
    assert list(found.layers) == []
    assert found.obsm["X_dgd"].shape == (4, 4)
    assert "dgd_nll" in found.obs


def test_normals_of_other_samples_model_or_genes_are_refused(pydgd, cohort, healthy, query, tmp_path) -> None:
    """By name, before any table; the older table stays."""
    model, cases = cohort / "normals.dgd", cohort / "cases.h5ad"
    (tmp_path / "de.csv").write_text("older")
    pydgd("closest-normal", model, cases, "-o", tmp_path / "n.h5ad")
    other = DGD.fit(query, latent_dim=4, epochs=2, seed=9)
    other.save(tmp_path / "other.dgd")
    fewer = read_counts(cases)[:, 1:].copy()
    write_h5ad(fewer, tmp_path / "fewer.h5ad")
    changed = read_counts(cases)
    changed.X[2, 0] += 1
    write_h5ad(changed, tmp_path / "changed.h5ad")
    for arguments, words in (
        ((model, healthy), ("lacks 20 of 20 samples", "'N00001'")),
        ((tmp_path / "other.dgd", cases), ("of another model", "SHA-256")),
        ((model, tmp_path / "fewer.h5ad"), ("found from other genes", fewer.var_names[0][:6], "only then")),
        ((model, tmp_path / "changed.h5ad"), ("found from other counts", "'C00003'")),
    ):
        done = pydgd("de", *arguments, "-o", tmp_path / "de.csv", "--normal", tmp_path / "n.h5ad")
        assert done.code == 2, done
        assert [word for word in ("n.h5ad", *words) if word not in done.err] == []
    for name, word in (("missing.h5ad", "no such file"), ("fewer.h5ad", "not a result of closest-normal")):
        done = pydgd("de", model, cases, "-o", tmp_path / "de.csv", "--normal", tmp_path / name)
        assert done.code == 2
        assert word in done.err
        assert "read " not in done.err
    assert (tmp_path / "de.csv").read_text() == "older"


def test_only_keeps_rows_and_changes_none(pydgd, cohort, healthy, expected, tmp_path) -> None:
    """Several bounds must all hold; adjusted p-values are those over all genes."""
    options = ["--only", "padj<0.5", "--only", "log2FoldChange >= 0.1"]
    done = pydgd("de", cohort / "normals.dgd", healthy, "-o", tmp_path / "de.csv", *options)
    assert done.code == 0, done.err
    wanted = expected[(expected["padj"] < 0.5) & (expected["log2FoldChange"] >= 0.1)]
    assert 0 < len(wanted) < len(expected)
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "de.csv"), wanted.reset_index(drop=True), check_dtype=False, rtol=0, atol=0
    )


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("name", ["de.parquet", "de.csv", "de.tsv.gz"])
def test_a_table_without_rows_has_its_columns(pydgd, cohort, healthy, expected, tmp_path, name) -> None:
    """Nothing is below 0, so nothing but the header is left."""
    arguments = ["de", cohort / "normals.dgd", healthy, "-o", tmp_path / name]
    done = pydgd(*arguments, "--only", "padj<0")
    assert done.code == 0, done.err
    assert "0 rows" in done.err
    found = read_table(tmp_path / name)
    assert found.columns.tolist() == expected.columns.tolist()
    assert found.empty


def test_called_genes_are_counted_before_rows_are_left_out(pydgd, cohort, tmp_path) -> None:
    """The line on the terminal says the same with any filter."""
    arguments = ["de", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", tmp_path / "de.csv"]
    lines = [
        next(line for line in pydgd(*arguments, *more).err.splitlines() if "genes that differ" in line)
        for more in ([], ["--padj-below", "1e-6"], ["--only", "padj<1e-300"])
    ]
    assert lines[0] == lines[1] == lines[2]


def test_defaults_are_those_of_the_api() -> None:
    """What --help shows is what differential_expression_table does."""
    parameters = inspect.signature(differential_expression_table).parameters
    for name in ("rule", "adjust", "padj_below"):
        assert DE_OPTIONS[name].default == parameters[name].default
    for command in (closest_normal, de):
        point = inspect.signature(DGD.closest_normal).parameters["point"]
        assert inspect.signature(command).parameters["point"].default == point.default


def test_float32_halves_the_numbers(pydgd, cohort, healthy, expected, tmp_path) -> None:
    """Rounded, but for what float32 cannot hold."""
    pydgd("de", cohort / "normals.dgd", healthy, "-o", tmp_path / "de.parquet", "--float32")
    table = pd.read_parquet(tmp_path / "de.parquet")
    for name in ("observed", "pvalue", "padj", "pvalue_nb", "lfdr"):
        np.testing.assert_array_equal(table[name], expected[name])
    for name in ("baseMean", "log2FoldChange", "lfcSE", "stat", "log_pvalue", "r"):
        assert table[name].dtype == np.float32
        np.testing.assert_array_equal(table[name], expected[name].astype(np.float32))


def test_another_folder_is_not_replaced_by_zarr(pydgd, cohort, tmp_path) -> None:
    """Told before the counts are read."""
    (tmp_path / "n.zarr").mkdir()
    done = pydgd("closest-normal", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", tmp_path / "n.zarr")
    assert done.code == 2
    assert "not a result of this kind" in done.err
    assert "read " not in done.err


@pytest.fixture(scope="module")
def many(query: AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4,000 samples: some seconds of search."""
    obs = pd.DataFrame(index=[f"S{i}" for i in range(200 * query.n_obs)])
    path = tmp_path_factory.mktemp("many") / "many.h5ad"
    write_h5ad(AnnData(np.tile(query.X, (200, 1)), obs, query.var), path)
    return path


# Both commands and both signals every time; the other two pairs with the slow tests.
@pytest.mark.parametrize(
    ("command", "name", "number", "code"),
    [
        ("closest-normal", "n.h5ad", signal.SIGINT, 130),
        ("de", "de.parquet", signal.SIGTERM, 143),
        pytest.param("closest-normal", "n.h5ad", signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param("de", "de.parquet", signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_leaves_nothing(cohort, many, tmp_path, number, code, command, name) -> None:
    """Between the chunks or within one: the older result stays, no temporary file is left."""
    (tmp_path / name).write_text("an older result")
    arguments = [command, str(cohort / "normals.dgd"), str(many), "-o", name]
    with subprocess.Popen(
        [sys.executable, "-c", WITHOUT_TERMINAL, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "closest normal: 8 of 4,000" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.5)
        os.kill(process.pid, number)
        said = process.stderr.read()
        assert process.wait(timeout=30) == code
    assert "Traceback" not in said
    assert (tmp_path / name).read_text() == "an older result"
    assert [path.name for path in tmp_path.iterdir()] == [name]
