# SPDX-License-Identifier: BSD-3-Clause
"""Files of every format, good and bad, both ways round."""

import gzip
import logging
import re
import warnings

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from anndata import AnnData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import feather, parquet
from scipy import sparse

from pydgd.data.growing import write_parts
from pydgd.data.readers import open_counts, read_counts
from pydgd.errors import ConfigError, CountsError, FileFormatError, NamesError

SAMPLES = ["S1", "S2", "S3"]
GENES = ["TP53", "MYC", "EGFR", "KRAS"]
COUNTS = np.array([[3, 0, 12, 100_000], [1, 2, 0, 5], [0, 7, 8, 9]])


def frame(counts=COUNTS):
    return pd.DataFrame(counts.copy(), index=SAMPLES, columns=GENES)


def write(path, table, **options):
    """Write a DataFrame in the format of the file's name."""
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".feather":
        feather.write_feather(table.rename_axis("sample").reset_index(), path)
    elif path.suffix == ".h5ad":
        AnnData(table.to_numpy(), obs=table.iloc[:, :0], var=table.iloc[:0].T).write_h5ad(path)
    else:
        table.to_csv(path, **{"sep": "\t" if "tsv" in path.name else ",", **options})
    return path


def check(adata, counts=COUNTS):
    matrix = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    assert np.array_equal(matrix, counts)
    assert adata.obs_names.tolist() == SAMPLES
    assert adata.var_names.tolist() == GENES


def message_of(error, path, **options):
    """The message of the error of reading `path`, which must name the file."""
    with pytest.raises(error) as caught:
        read_counts(path, **options)
    assert str(path) in str(caught.value)
    assert str(caught.value).count(str(path)) == 1
    return str(caught.value)


NAMES = [
    "x.csv",
    "x.tsv",
    "x.csv.gz",
    "x.tsv.xz",
    "x.csv.bz2",
    "x.txt",
    "x.parquet",
    "x.feather",
    "x.h5ad",
    "no_suffix",
]


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.int32, np.float32])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_format_is_read_back_both_ways_round(tmp_path, name, turned, dtype):
    """The orientation is found from the names; whole floats are counts."""
    table = frame(COUNTS.astype(dtype))
    check(read_counts(write(tmp_path / name, table.T if turned else table)))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_named_orientation_is_obeyed(tmp_path, name, turned):
    """With names that say nothing, `orient` decides for every format."""
    table = frame().set_axis(["a", "b", "c"], axis=0).set_axis(list("wxyz"), axis=1)
    adata = read_counts(
        write(tmp_path / name, table.T if turned else table), orient="genes" if turned else "samples"
    )
    assert adata.to_df().to_numpy().tolist() == COUNTS.tolist()
    assert adata.obs_names.tolist() == ["a", "b", "c"]


def test_an_unknown_orientation_is_refused_for_every_format(tmp_path):
    """Before the file is even opened."""
    with pytest.raises(ConfigError, match="orient is 'columns'"):
        read_counts(tmp_path / "missing.h5ad", orient="columns")


def test_unknown_names_need_an_orientation(tmp_path):
    """The error names the file and the option."""
    path = write(tmp_path / "x.csv", frame().set_axis(["a", "b", "c"], axis=0).set_axis(list("wxyz"), axis=1))
    assert "--orient samples or --orient genes" in message_of(ConfigError, path)


def test_what_was_decided_is_logged(tmp_path, caplog):
    """At level INFO, with file and reason."""
    path = write(tmp_path / "x.csv", frame().T)
    with caplog.at_level(logging.INFO, logger="pydgd"):
        read_counts(path)
    assert (
        f"{path}: read as genes x samples, because the row names look like gene symbols (e.g. 'TP53')"
        in caplog.text
    )


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("quoting", [0, 1])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_separators_quotes_line_ends_and_marks_do_not_matter(
    tmp_path, line_end, separator, quoting, encoding
):
    """Windows, old Macintosh, Excel's byte-order mark; the separator is found by content."""
    path = tmp_path / "x.csv"
    frame().to_csv(path, sep=separator, lineterminator=line_end, quoting=quoting, encoding=encoding)
    check(read_counts(path))


def test_a_header_without_the_name_column_is_understood(tmp_path):
    """As R's write.table leaves it."""
    path = tmp_path / "x.tsv"
    lines = ["\t".join(f'"{gene}"' for gene in GENES)]
    lines += ["\t".join([f'"{name}"', *map(str, row)]) for name, row in zip(SAMPLES, COUNTS, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    check(read_counts(path))


def test_quoted_names_may_hold_the_separator_and_quotes(tmp_path):
    """They are names like others, and spaces around names are dropped."""
    path = tmp_path / "x.csv"
    path.write_text('sample, TP53 ,"MYC, c","EGFR ""v"""\n"S1, left",1,2,3\n S2 ,4,5,6\n')
    adata = read_counts(path)
    assert adata.var_names.tolist() == ["TP53", "MYC, c", 'EGFR "v"']
    assert adata.obs_names.tolist() == ["S1, left", "S2"]


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
def test_blank_lines_and_a_missing_last_line_end_do_not_matter(tmp_path, end):
    """Between rows too."""
    path = tmp_path / "x.csv"
    text = frame().to_csv().rstrip("\n")
    path.write_text(text.replace("S2", "\nS2") + end)
    check(read_counts(path))


def test_a_table_longer_than_a_block_is_read_whole(tmp_path, monkeypatch):
    """Blocks end between lines, and a later block may need a wider type."""
    monkeypatch.setattr("pydgd.data.delimited._BLOCK_CHARACTERS", 50)
    rng = np.random.default_rng(0)
    counts = rng.poisson(5, (40, 6))
    counts[17, 3], counts[30, 2] = 2**31, 2**53
    table = pd.DataFrame(counts, index=[f"S{i}" for i in range(40)], columns=[f"gene{i}" for i in range(6)])
    table.insert(2, "tissue", [f"t{i % 3}" for i in range(40)])
    adata = read_counts(write(tmp_path / "x.csv", table))
    assert np.array_equal(adata.X, counts)
    assert adata.obs.tissue.tolist() == table.tissue.tolist()


@pytest.mark.parametrize("name", ["x.csv", "x.tsv.gz", "x.parquet"])
def test_columns_of_text_are_labels(tmp_path, name):
    """Of samples in obs; of genes, wherever they stand, in var with the known facts of a gene."""
    table = frame()
    table.insert(1, "tissue", ["liver", "lung", ""])
    table["group"] = ["a", "b", "c"]
    adata = read_counts(write(tmp_path / name, table))
    check(adata)
    assert adata.obs.to_dict("list") == {"tissue": ["liver", "lung", ""], "group": ["a", "b", "c"]}
    table = frame().T
    table.insert(0, "gene_name", ["p53", "Myc", "Egfr", "Kras"])
    table.insert(1, "Length", [1000, 2000, 3000, 4000])
    adata = read_counts(write(tmp_path / name, table))
    check(adata)
    assert adata.var.to_dict("list") == {
        "gene_name": ["p53", "Myc", "Egfr", "Kras"],
        "Length": [1000, 2000, 3000, 4000],
    }


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.feather"])
def test_usual_numeric_labels_are_labels(tmp_path, name, caplog):
    """Age is no gene; it is said. A gene of the model may be called anything."""
    path = write(tmp_path / name, frame().assign(age=[30, 40, 50], RIN=[7.5, 8.1, 6.0]))
    adata = read_counts(path)
    check(adata)
    assert adata.obs.to_dict("list") == {"age": [30, 40, 50], "RIN": [7.5, 8.1, 6.0]}
    assert "describe samples, not genes, put in obs: age, RIN" in caplog.text
    path = write(tmp_path / name, frame().assign(age=[30, 40, 50]))
    assert read_counts(path, genes=["age", "MYC"]).var_names.tolist() == [*GENES, "age"]


def test_a_stranger_among_ensembl_ids_is_named(tmp_path, caplog):
    """It may be a label of ours or a transgene: it is kept and said; spike-ins are known."""
    names = [*(f"ENSG{i:011d}" for i in range(20)), "ERCC-00002", "HP_score"]
    table = pd.DataFrame(np.ones((3, 22), dtype=int), index=SAMPLES, columns=names)
    assert read_counts(write(tmp_path / "x.csv", table)).n_vars == 22
    assert "1 columns hold numbers but bear no Ensembl id as the others do (first: HP_score)" in caplog.text


@pytest.mark.parametrize("turned", [False, True])
def test_reads_that_were_not_counted_are_no_genes(tmp_path, turned):
    """Rows of htseq-count and STAR often stay in tables that people make of their files."""
    table = frame().assign(__no_feature=[5, 6, 7], N_unmapped=[1, 2, 3])
    check(read_counts(write(tmp_path / "x.csv", table.T if turned else table)))


def test_a_wrong_orientation_is_not_believed(tmp_path):
    """Of tables and AnnData; `genes` of a model decide where names do not."""
    table = frame().set_axis([f"ENSG{i:011d}" for i in range(4)], axis=1)
    for name in ("x.csv", "x.h5ad"):
        message = message_of(ConfigError, write(tmp_path / name, table), orient="genes")
        assert "orient is 'genes', but the column names look like human Ensembl ids" in message
        assert "--orient samples" in message
    plain = frame().set_axis(["a", "b", "c"], axis=0).set_axis(list("wxyz"), axis=1)
    adata = read_counts(write(tmp_path / "x.csv", plain.T), genes=["w", "x", "q"])
    assert adata.obs_names.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.h5ad"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_repeated_genes_are_summed_if_asked(tmp_path, name, container, caplog):
    """Refused by default; the first one's labels stay, and sparse stays sparse, also on disk."""
    table = pd.DataFrame(COUNTS, index=SAMPLES, columns=["TP53", "MYC", "TP53", "KRAS"])
    path = tmp_path / name
    if name == "x.h5ad":
        var = pd.DataFrame({"id": list("abcd")}, index=pd.Index(["TP53", "MYC", "other", "KRAS"]))
        AnnData(container(COUNTS), obs=table.iloc[:, :0], var=var).write_h5ad(path)
        with h5py.File(path, "a") as file:
            file["var"]["_index"][2] = "TP53"
    elif name == "x.parquet":
        columns = [pa.array(SAMPLES), *map(pa.array, COUNTS.T)]
        parquet.write_table(pa.Table.from_arrays(columns, names=["sample", *table.columns]), path)
    else:
        write(path, table)
    assert "repeated gene names: 1 (first: 'TP53')" in message_of(NamesError, path)
    adata = read_counts(path, duplicate_genes="sum")
    summed = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    assert summed.tolist() == [[15, 0, 100_000], [1, 2, 5], [8, 7, 9]]
    assert adata.var_names.tolist() == ["TP53", "MYC", "KRAS"]
    assert "1 genes stand there more than once (first: TP53); their reads are summed" in caplog.text
    if name == "x.h5ad":
        assert adata.var.id.tolist() == ["a", "b", "d"]
        assert sparse.issparse(adata.X) == (container is sparse.csr_matrix)
        with open_counts(path, duplicate_genes="sum") as counts:
            block = counts.read(1, 2).X
            assert np.asarray(block.toarray() if sparse.issparse(block) else block).tolist() == [[1, 2, 5]]
    with pytest.raises(ConfigError, match="give one of refuse, sum"):
        read_counts(path, duplicate_genes="mean")


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_zarr_is_read_as_h5ad_is(tmp_path, container):
    """Also row by row; a store that is none is named."""
    pytest.importorskip("zarr")
    path = tmp_path / "x.zarr"
    given = AnnData(
        container(COUNTS),
        obs=pd.DataFrame({"tissue": ["a", "b", "a"]}, index=SAMPLES),
        var=pd.DataFrame(index=GENES),
        layers={"twice": 2 * COUNTS},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given.write_zarr(path)
    adata = read_counts(path)
    check(adata)
    assert sparse.issparse(adata.X) == sparse.issparse(given.X)
    assert adata.obs.tissue.tolist() == ["a", "b", "a"]
    check(read_counts(path, layer="twice"), 2 * COUNTS)
    with open_counts(path) as counts:
        chosen = counts.where("tissue=a")
        block = chosen.read(1, 2).X
        assert np.asarray(block.toarray() if sparse.issparse(block) else block).tolist() == [[0, 7, 8, 9]]


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_the_names_may_stand_in_a_column_of_text(tmp_path, name):
    """Without a pandas index, as in tables that other tools wrote."""
    path = tmp_path / name
    table = frame().rename_axis("sample_id").reset_index()
    table.to_csv(path, index=False) if name == "x.csv" else table.to_parquet(path, index=False)
    check(read_counts(path))


def test_row_numbers_are_no_genes(tmp_path):
    """As pandas and R write them unless told otherwise."""
    path = tmp_path / "x.csv"
    frame().T.rename_axis("gene").reset_index().to_csv(path)
    assert "the first column only numbers the rows" in message_of(NamesError, path)


def test_numbers_of_genes_are_no_samples(tmp_path):
    """Entrez ids as in tables of TCGA, chromosomes as Ensembl calls them; not every gene has an id."""
    table = frame().T
    table.insert(0, "Entrez_Gene_Id", ["7105", "NA", "8813", "57147"])
    table.insert(1, "chr", [1, 2, "X", 4])
    adata = read_counts(write(tmp_path / "x.csv", table))
    check(adata)
    assert adata.var["Entrez_Gene_Id"].tolist() == ["7105", "NA", "8813", "57147"]
    table["Entrez_Gene_Id"] = [7105, 64102, 8813, 57147]
    adata = read_counts(write(tmp_path / "x.parquet", table.astype({"chr": str})))
    check(adata)
    assert adata.var.columns.tolist() == ["Entrez_Gene_Id", "chr"]


def test_numeric_row_names_are_names(tmp_path):
    """Entrez ids of genes in rows."""
    table = pd.DataFrame([[1, 2], [3, 4]], index=pd.Index([7157, 4609], name="gene"), columns=["S1", "S2"])
    for name in ("x.csv", "x.parquet"):
        assert read_counts(write(tmp_path / name, table)).var_names.tolist() == ["7157", "4609"]


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_h5ad_keeps_labels_and_sparsity(tmp_path, container):
    """CSC becomes CSR, whose rows are cheap; other layers and obsm are left on the disk."""
    given = AnnData(
        container(COUNTS.astype(np.float32)),
        obs=pd.DataFrame({"tissue": pd.Categorical(["a", "b", "a"])}, index=SAMPLES),
        var=pd.DataFrame({"id": ["1", "2", "3", "4"]}, index=GENES),
        layers={"log1p": np.log1p(COUNTS)},
        obsm={"X_pca": np.ones((3, 2))},
    )
    given.write_h5ad(tmp_path / "x.h5ad")
    adata = read_counts(tmp_path / "x.h5ad")
    check(adata)
    assert sparse.issparse(adata.X) == sparse.issparse(given.X)
    assert adata.obs.tissue.tolist() == ["a", "b", "a"]
    assert adata.var.id.tolist() == ["1", "2", "3", "4"]
    assert not adata.layers
    assert not adata.obsm


def test_the_counts_layer_of_an_h5ad_comes_before_x(tmp_path):
    """And an option before both."""
    path = tmp_path / "x.h5ad"
    AnnData(
        COUNTS / 7,
        obs=pd.DataFrame(index=SAMPLES),
        var=pd.DataFrame(index=GENES),
        layers={"counts": COUNTS, "twice": 2 * COUNTS},
    ).write_h5ad(path)
    check(read_counts(path))
    check(read_counts(path, layer="twice"), 2 * COUNTS)
    assert "fractional counts" in message_of(CountsError, path, layer="X")
    assert "no layer 'raw'; there is 'X', 'counts', 'twice'" in message_of(ConfigError, path, layer="raw")


def test_a_layer_of_a_table_is_refused(tmp_path):
    """Only h5ad has layers."""
    assert "only h5ad and zarr have layers" in message_of(
        ConfigError, write(tmp_path / "x.csv", frame()), layer="counts"
    )


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet", "x.h5ad"])
@pytest.mark.parametrize(
    ("value", "problem", "repair"),
    [
        (-4.0, "negative count", "raw read counts"),
        (0.5, "fractional counts: 1 of 12", "pass --round"),
        (np.inf, "infinite count", "raw read counts"),
    ],
)
def test_a_bad_value_is_named_by_file_sample_and_gene(tmp_path, name, turned, value, problem, repair):
    """In every format and orientation."""
    table = frame(COUNTS.astype(float))
    table.loc["S2", "EGFR"] = value
    message = message_of(CountsError, write(tmp_path / name, table.T if turned else table))
    assert problem in message
    assert f"sample 'S2', gene 'EGFR' has {value:g}" in message
    assert repair in message


@pytest.mark.parametrize("name", ["x.parquet", "x.h5ad"])
def test_a_missing_number_is_named(tmp_path, name):
    """NaN in h5ad, null in Parquet."""
    table = frame(COUNTS.astype(float))
    table.loc["S2", "EGFR"] = np.nan
    message = message_of(CountsError, write(tmp_path / name, table))
    assert "missing count (NaN): sample 'S2', gene 'EGFR'" in message
    assert "write 0 for no reads" in message


@pytest.mark.parametrize("text", ["", "NA", "abc", "1_000", "1,5", "0x10", "1 000"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_field_that_is_no_number_is_named(tmp_path, text, turned):
    """One stray word among numbers never turns a gene into a label."""
    table = frame().astype(object)
    table.loc["S2", "EGFR"] = text
    message = message_of(CountsError, write(tmp_path / "x.csv", table.T if turned else table))
    row, column = ("EGFR", "S2") if turned else ("S2", "EGFR")
    assert f"row {row!r}, column {column!r} holds {text!r}, not a number" in message
    assert "correct the value" in message


def test_a_literal_nan_in_a_csv_is_a_missing_count(tmp_path):
    """Python and NumPy write it so."""
    path = tmp_path / "x.csv"
    path.write_text("sample,TP53,MYC\nS1,1,nan\nS2,1,2\n")
    assert "missing count (NaN): sample 'S1', gene 'MYC'" in message_of(CountsError, path)


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.h5ad"])
def test_rounding_is_an_option(tmp_path, name):
    """RSEM's expected counts."""
    adata = read_counts(write(tmp_path / name, frame(COUNTS + 0.3)), round_counts=True)
    check(adata)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.h5ad"])
def test_a_sample_without_reads_is_named(tmp_path, name, turned):
    """The message says to drop it."""
    table = frame()
    table.loc["S3"] = 0
    message = message_of(CountsError, write(tmp_path / name, table.T if turned else table))
    assert "1 of 3 samples have no reads (first: 'S3')" in message
    assert "Drop them" in message


@pytest.mark.filterwarnings("ignore:Variable names are not unique", "ignore:Observation names are not unique")
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv.gz", "x.h5ad"])
@pytest.mark.parametrize(
    ("samples", "genes", "problem"),
    [
        (SAMPLES, ["TP53", "MYC", "TP53", "MYC"], "repeated gene names: 2 (first: 'TP53', 'MYC')"),
        (["S1", "S2", "S1"], GENES, "repeated sample names: 1 (first: 'S1')"),
        (SAMPLES, ["TP53", "MYC", "EGFR", ""], "1 genes have an empty name (first: gene number 4)"),
        (["S1", "", "S3"], GENES, "1 samples have an empty name (first: sample number 2)"),
    ],
)
def test_repeated_and_empty_names_are_found(tmp_path, name, turned, samples, genes, problem):
    """pandas would rename repeats in silence (TP53.1)."""
    table = pd.DataFrame(COUNTS, index=samples, columns=genes)
    assert problem in message_of(NamesError, write(tmp_path / name, table.T if turned else table))


def test_repeated_columns_of_parquet_are_found(tmp_path):
    """Arrow allows them."""
    path = tmp_path / "x.parquet"
    columns = [pa.array(SAMPLES), pa.array([1, 2, 3]), pa.array([4, 5, 6]), pa.array([7, 8, 9])]
    parquet.write_table(pa.Table.from_arrays(columns, names=["sample", "TP53", "MYC", "TP53"]), path)
    assert "repeated gene names: 1 (first: 'TP53')" in message_of(NamesError, path)


def test_parquet_without_names_is_refused(tmp_path):
    """All numbers and a plain row count as index."""
    path = tmp_path / "x.parquet"
    frame().reset_index(drop=True).to_parquet(path)
    assert "no column names the rows" in message_of(NamesError, path)


@pytest.mark.parametrize("name", ["x.h5ad", "x.parquet", "x.feather", "x.csv.gz", "x.csv.xz", "x.csv.bz2"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_a_truncated_file_is_called_so(tmp_path, name, share):
    """Wherever it breaks off; the repair is to get it again."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        rng.poisson(50, (30, 400)),
        index=[f"S{i}" for i in range(30)],
        columns=[f"gene{i}" for i in range(400)],
    )
    path = write(tmp_path / name, table)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    message = message_of(FileFormatError, path)
    assert "truncated or damaged" in message
    assert "copy, download or write it again" in message


def test_a_truncated_csv_is_found_by_its_last_line(tmp_path):
    """With the number of the line, counted from the header."""
    path = write(tmp_path / "x.csv", frame())
    path.write_text(path.read_text()[:-6])
    message = message_of(FileFormatError, path)
    assert "line 4 ('S3,0,'…) has 3 fields where the first has 5" in message
    assert "truncated" in message


def test_a_damaged_chunk_of_an_h5ad_is_found(tmp_path):
    """The file opens, its numbers do not."""
    path = tmp_path / "x.h5ad"
    rng = np.random.default_rng(0)
    adata = AnnData(rng.poisson(5, (50, 80)))
    adata.write_h5ad(path, compression="gzip")
    with h5py.File(path) as file:
        start = file["X"].id.get_chunk_info(0).byte_offset
    raw = bytearray(path.read_bytes())
    raw[start + 5 : start + 205] = bytes(200)
    path.write_bytes(raw)
    assert "truncated or damaged" in message_of(FileFormatError, path)


def test_a_damaged_gzip_is_found(tmp_path):
    """A flipped byte in the middle."""
    path = tmp_path / "x.csv.gz"
    rng = np.random.default_rng(0)
    text = pd.DataFrame(rng.poisson(50, (30, 4000)), columns=[f"gene{i}" for i in range(4000)]).to_csv()
    raw = bytearray(gzip.compress(text.encode()))
    raw[-3000:-2900] = bytes(100)
    path.write_bytes(raw)
    assert "truncated or damaged" in message_of(FileFormatError, path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sample,TP53\n", "no line after it"),
        ("just words\nand more\n", "no separator (comma, tab, semicolon, bar)"),
        ("a,b\nS1,1,2,3,4\n", "no separator"),
        ("sample,tissue\nS1,liver\n", "no column of numbers"),
        ("ENSG00000000003,708,467\nENSG00000000005,0,1\n", "no line names the columns: the first holds"),
        ("ENSG00000000003,TSPAN6,708\nENSG00000000005,TNMD,1\n", "no line names the columns"),
        ("A1BG,708,467\nTP53,0,1\nMYC,2,1\nGAPDH,5,9\n", "no line names the columns"),
        ("S1,708,467\nS2,0,1\n", "no line names the columns"),
    ],
)
def test_a_text_that_is_no_table_of_counts_is_refused(tmp_path, text, problem):
    """Header only, prose, uneven lines, labels only, no header: its counts would be lost as names."""
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert problem in message_of(FileFormatError, path)


@pytest.mark.parametrize("n_samples", [1, 2, 3])
@pytest.mark.parametrize(
    ("gene", "value"), [("TP53", "1.852,0"), ("TP53", "1,5"), ("ENSG00000141510", "abc")]
)
def test_a_bad_value_never_turns_a_gene_into_a_label(tmp_path, n_samples, gene, value):
    """Not even in a table of one sample, where one value is all that a column has."""
    path = tmp_path / "x.csv"
    rows = [f"S{i};{value if i == 0 else 7};2\n" for i in range(n_samples)]
    path.write_text(f"sample;{gene};MYC\n" + "".join(rows))
    message = message_of(CountsError, path, orient="samples")
    assert f"row 'S0', column '{gene}' holds '{value}', not a number" in message


def test_a_quoted_separator_does_not_make_up_for_a_missing_field(tmp_path):
    """The second line has as many commas as the header, but a field less."""
    path = tmp_path / "x.csv"
    path.write_text('sample,TP53,MYC\nS1,1,2\n"S2, left",3\n')
    assert "line 3 ('\"S2, left\",3'…) has 2 fields where the first has 3" in message_of(
        FileFormatError, path
    )


def test_an_open_quotation_mark_is_found(tmp_path):
    """It would swallow the next line."""
    path = tmp_path / "x.csv"
    path.write_text('sample,TP53,MYC\nS1,1,2\n"S2,3,4\nS3,5,6\n')
    assert "line 3 ('\"S2,3,4'…) has a quotation mark that is not closed" in message_of(FileFormatError, path)


def test_another_encoding_is_named(tmp_path):
    """Latin-1 names would be read wrongly."""
    path = tmp_path / "x.csv"
    path.write_bytes("sample,TP53\nMüller,1\n".encode("latin-1"))
    message = message_of(FileFormatError, path)
    assert "not UTF-8" in message
    assert "save it as UTF-8" in message


def test_hdf5_that_is_no_anndata_is_refused(tmp_path):
    """With what it lacks and what it holds."""
    path = tmp_path / "x.h5ad"
    with h5py.File(path, "w") as file:
        file["weights"] = [1, 2]
    message = message_of(FileFormatError, path)
    assert "lacks the group obs and var and holds 'weights'" in message
    assert "AnnData.write_h5ad" in message


def test_an_h5ad_without_x_is_refused(tmp_path):
    """Labels alone are not counts."""
    path = tmp_path / "x.h5ad"
    AnnData(obs=pd.DataFrame(index=SAMPLES), var=pd.DataFrame(index=GENES)).write_h5ad(path)
    with h5py.File(path, "a") as file:
        if "X" in file:
            del file["X"]
    assert "no X; put raw counts there" in message_of(FileFormatError, path)


def test_a_transposed_h5ad_is_turned(tmp_path, caplog):
    """Its labels change sides with the names."""
    path = tmp_path / "x.h5ad"
    AnnData(
        sparse.csr_matrix(COUNTS.T),
        obs=pd.DataFrame({"id": list("abcd")}, index=GENES),
        var=pd.DataFrame(index=SAMPLES),
    ).write_h5ad(path)
    with caplog.at_level(logging.INFO, logger="pydgd"):
        adata = read_counts(path)
    check(adata)
    assert adata.var.id.tolist() == list("abcd")
    assert "read as genes x samples" in caplog.text


@pytest.mark.parametrize("file", ["normals.h5ad", "tumours.h5ad", "heart_muscle.h5ad", "airway.h5ad"])
def test_real_files_are_read_as_anndata_reads_them(shared, file):
    """Same numbers, names and labels."""
    path = shared / "data" / file
    ours, theirs = read_counts(path), anndata.read_h5ad(path)
    assert np.array_equal(ours.X, theirs.X)
    assert ours.obs.equals(theirs.obs)
    assert ours.var.equals(theirs.var)


def test_missing_parts_of_zarr_are_said(tmp_path, caplog):
    """zarr takes them for zeros."""
    pytest.importorskip("zarr")
    path = tmp_path / "x.zarr"
    counts = np.ones((4, 3), dtype=np.int32)
    parts = (AnnData(counts[:2], pd.DataFrame(index=[f"S{i}", f"S{i + 1}"])) for i in (1, 3))
    write_parts(parts, path)
    read_counts(path)
    assert not caplog.text
    (path / "X" / "1.0").unlink()
    with pytest.raises(CountsError, match="2 of 4 samples have no reads"):
        read_counts(path)
    assert "1 of the 2 files of /X are missing and count as zeros" in caplog.text


def test_the_peers_csv_is_coverage(shared, tmp_path):
    """5 samples x 16,883 genes with a trailing column of text: refused, or turned into reads."""
    path = shared / "data" / "gtex_recount3_coverage.csv"
    message = message_of(CountsError, path)
    assert "sums of base coverage" in message
    assert "--coverage-to-reads LENGTH" in message
    expected = pd.read_csv(path, index_col=0)
    adata = read_counts(path, coverage_to_reads=150)
    assert np.array_equal(adata.X, np.rint(expected.drop(columns="tissue") / 150))
    assert adata.obs.tissue.tolist() == expected.tissue.tolist()
    assert adata.obs_names.tolist() == [str(name) for name in expected.index]
    metadata = tmp_path / "metadata.tsv"
    lengths = pd.DataFrame(
        {"external_id": expected.index[::-1], "star.average_mapped_length": [100.5, 150, 75, 98, 3]}
    )
    lengths.to_csv(metadata, sep="\t", index=False)
    adata = read_counts(path, coverage_to_reads=metadata)
    lengths = lengths.set_index("external_id")["star.average_mapped_length"][expected.index].to_numpy()
    assert np.array_equal(adata.X, np.rint(expected.drop(columns="tissue").to_numpy() / lengths[:, None]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counts=st.lists(st.lists(st.integers(0, 2**53), min_size=3, max_size=3), min_size=1, max_size=6),
    separator=st.sampled_from([",", "\t", ";"]),
    turned=st.booleans(),
)
def test_any_whole_numbers_survive_a_text_table(tmp_path, counts, separator, turned):
    """Up to 2**53, in every separator and orientation, exactly."""
    matrix = np.array(counts, dtype=np.int64) + np.eye(len(counts), 3, dtype=np.int64)
    matrix[:, 0] = np.maximum(matrix[:, 0], 1)
    matrix = np.minimum(matrix, 2**53)
    table = pd.DataFrame(matrix, index=[f"S{i}" for i in range(len(matrix))], columns=GENES[:3])
    path = tmp_path / "x.csv"
    (table.T if turned else table).to_csv(path, sep=separator)
    adata = read_counts(path)
    assert np.array_equal(adata.X, matrix)
    assert re.fullmatch("u?int.*", str(adata.X.dtype))
