# SPDX-License-Identifier: BSD-3-Clause
"""Bad input: one clear error that names the thing, exit code 2, nothing written, old results untouched."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from safetensors import safe_open
from safetensors.torch import save_file

from pydgd import read_counts
from pydgd.data.h5ad_writer import write_h5ad

from .conftest import SMALL

COMMANDS = {"train": "out.dgd", "closest-normal": "out.h5ad", "de": "out.csv"}


def arguments_of(command: str, counts: Path, cohort: Path, output: Path) -> list[object]:
    model = [] if command == "train" else [cohort / "normals.dgd"]
    return [command, *model, counts, "-o", output, *(SMALL if command == "train" else [])]


@pytest.fixture
def refused(pydgd, tmp_path) -> Callable[..., str]:
    """Run a command that must be refused while an older result is in its place; return the message."""

    def run(*arguments: object) -> str:
        output = tmp_path / str(arguments[arguments.index("-o") + 1])
        output.write_text("an older result")
        before = sorted(tmp_path.rglob("*"))
        done = pydgd(*arguments)
        assert done.code == 2, done
        assert done.out == ""
        assert "Traceback" not in done.err
        assert done.err.count("error: ") + done.err.count("Error: ") == 1
        assert output.read_text() == "an older result"
        assert sorted(tmp_path.rglob("*")) == before
        return done.err

    return run


def table_with(cohort: Path, value: float) -> pd.DataFrame:
    """The cases with one value replaced, samples x genes."""
    table = read_counts(cohort / "cases.h5ad").to_df().astype(float)
    table.iloc[1, 2] = value
    return table


COUNTS: dict[str, tuple[Callable[[Path, Path], Path], tuple[str, ...]]] = {}


def bad_counts(*words: str) -> Callable[[Callable[[Path, Path], Path]], Callable[[Path, Path], Path]]:
    """Register a way to write bad counts, and the words that its message must have."""

    def register(make: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        COUNTS[make.__name__] = (make, words)
        return make

    return register


def as_csv(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "counts.csv")
    return folder / "counts.csv"


@bad_counts("counts.csv", "negative", "'C00002'", "-3")
def negative(cohort, folder):
    return as_csv(table_with(cohort, -3.0), folder)


@bad_counts("counts.csv", "fractional", "'C00002'", "--round")
def fractional(cohort, folder):
    return as_csv(table_with(cohort, 2.5), folder)


@bad_counts("counts.csv", "not a number", "'C00002'")
def empty_cell(cohort, folder):
    return as_csv(table_with(cohort, np.nan), folder)


@bad_counts("counts.h5ad", "missing", "'C00002'")
def not_a_number(cohort, folder):
    write_h5ad(AnnData(table_with(cohort, np.nan)), folder / "counts.h5ad")
    return folder / "counts.h5ad"


@bad_counts("counts.csv", "infinite", "'C00002'")
def infinite(cohort, folder):
    return as_csv(table_with(cohort, np.inf), folder)


@bad_counts("counts.csv", "no reads", "'C00002'")
def without_reads(cohort, folder):
    table = table_with(cohort, 0.0)
    table.iloc[1] = 0.0
    return as_csv(table, folder)


@bad_counts("counts.csv", "gene", "repeated", "'ENSG")
def duplicate_genes(cohort, folder):
    table = table_with(cohort, 1.0)
    return as_csv(table.set_axis([table.columns[1], *table.columns[1:]], axis=1), folder)


@bad_counts("counts.csv", "sample", "repeated", "'C00002'")
def duplicate_samples(cohort, folder):
    table = table_with(cohort, 1.0)
    return as_csv(table.set_axis([table.index[1], *table.index[1:]], axis=0), folder)


@bad_counts("counts.csv", "empty")
def empty_file(cohort, folder):
    (folder / "counts.csv").write_bytes(b"")
    return folder / "counts.csv"


@bad_counts("counts.h5ad", "extension", "text")
def not_what_its_extension_says(cohort, folder):
    return as_csv(table_with(cohort, 1.0), folder).rename(folder / "counts.h5ad")


@bad_counts("counts.h5ad", "damaged")
def truncated(cohort, folder):
    whole = (cohort / "normals.h5ad").read_bytes()
    (folder / "counts.h5ad").write_bytes(whole[: len(whole) // 2])
    return folder / "counts.h5ad"


@bad_counts("missing.csv", "no such file")
def missing(cohort, folder):
    return folder / "missing.csv"


@bad_counts("no counts in this folder")
def folder_instead_of_a_file(cohort, folder):
    (folder / "counts.csv").mkdir()
    return folder / "counts.csv"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("problem", COUNTS)
def test_bad_counts_are_refused_by_every_command(refused, cohort, tmp_path, command, problem) -> None:
    """Whichever command reads them, the message names the file and what is wrong in it."""
    make, words = COUNTS[problem]
    message = refused(*arguments_of(command, make(cohort, tmp_path), cohort, tmp_path / COMMANDS[command]))
    assert [word for word in words if word not in message] == []


def test_genes_of_another_kind_are_named(refused, cohort, tmp_path) -> None:
    """Symbols against a model of Ensembl ids: the message says which is which."""
    cases = read_counts(cohort / "cases.h5ad")
    symbols = ["TP53", "MYC", "BRCA1", "EGFR", "KRAS", "PTEN", "GAPDH", "ACTB", "ALB", "INS"]
    write_h5ad(AnnData(cases.X[:, :10], cases.obs, pd.DataFrame(index=symbols)), tmp_path / "symbols.h5ad")
    for command in ("closest-normal", "de"):
        message = refused(
            *arguments_of(command, tmp_path / "symbols.h5ad", cohort, tmp_path / COMMANDS[command])
        )
        assert "Ensembl" in message
        assert "symbols" in message


def test_a_transposed_table_is_told(refused, cohort, tmp_path) -> None:
    """If the user insists on the wrong orientation, the names say otherwise, and the message how."""
    path = as_csv(table_with(cohort, 1.0).T, tmp_path)
    arguments = arguments_of("de", path, cohort, tmp_path / "out.csv")
    message = refused(*arguments, "--orient", "samples")
    assert "of the row names are genes of the model; say --orient genes" in message


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 0xFF
    path.write_bytes(content)


def claim_a_newer_version(path: Path) -> None:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = {**file.metadata(), "format_version": "99"}
    save_file(tensors, path, metadata=metadata)


MODELS = {
    "corrupt": (flip_a_byte, ("damaged", "SHA-256")),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-100]), ("damaged",)),
    "newer": (claim_a_newer_version, ("99", "upgrade")),
    "not a model": (lambda path: path.write_text("gene,T1\nTP53,3\n"), ("not a PyDGD model",)),
    "empty": (lambda path: path.write_bytes(b""), ("not a PyDGD model",)),
    "missing": (lambda path: path.unlink(), ("does not exist",)),
}


@pytest.mark.parametrize("problem", MODELS)
@pytest.mark.parametrize("command", ["closest-normal", "de"])
def test_bad_models_are_refused(refused, cohort, tmp_path, command, problem) -> None:
    """The message names the model file and what is wrong with it."""
    spoil, words = MODELS[problem]
    model = tmp_path / "spoilt.dgd"
    model.write_bytes((cohort / "normals.dgd").read_bytes())
    spoil(model)
    message = refused(command, model, cohort / "cases.h5ad", "-o", tmp_path / COMMANDS[command])
    assert [word for word in ("spoilt.dgd", *words) if word not in message] == []


def test_info_of_a_bad_model_is_refused(pydgd, tmp_path) -> None:
    """`info` reads models as carefully as the others."""
    (tmp_path / "no.dgd").write_text("no")
    done = pydgd("info", tmp_path / "no.dgd")
    assert (done.code, done.out) == (2, "")
    assert "not a PyDGD model" in done.err


@pytest.mark.parametrize(
    ("rows", "columns", "options", "word"),
    [
        (slice(0, 10), slice(None), ["--components", "20"], "20 mixture components"),
        (slice(0, 1), slice(None), [], "at least 2 samples"),
        (slice(None), slice(0, 1), [], "at least 2 genes"),
    ],
    ids=["fewer samples than components", "one sample", "one gene"],
)
def test_too_little_to_train_on_is_refused(refused, cohort, tmp_path, rows, columns, options, word) -> None:
    """A model cannot learn from these, and the message says what it takes."""
    write_h5ad(read_counts(cohort / "normals.h5ad")[rows, columns].copy(), tmp_path / "few.h5ad")
    assert word in refused("train", tmp_path / "few.h5ad", "-o", tmp_path / "out.dgd", *SMALL, *options)


def test_a_query_with_one_gene_is_refused(refused, cohort, tmp_path) -> None:
    """One gene is not half of the model's."""
    write_h5ad(read_counts(cohort / "cases.h5ad")[:, :1].copy(), tmp_path / "one.h5ad")
    message = refused(*arguments_of("de", tmp_path / "one.h5ad", cohort, tmp_path / "out.csv"))
    assert "1 of the model's" in message or "0 of the model's" in message


OPTIONS = {
    "unknown column": (["train", "--where", "tisue=liver"], "no column 'tisue'"),
    "unknown value": (["train", "--where", "tissue=lever"], "'lever'"),
    "unreadable condition": (["train", "--where", "tissue"], "column=value"),
    "no such layer": (["train", "--layer", "raw"], "no layer 'raw'"),
    "bad orientation": (["train", "--orient", "up"], "orient"),
    "no latent dimension": (["train", "--latent-dim", "0"], "--latent-dim"),
    "unreadable layers": (["train", "--hidden-layers", "64x32"], "64x32"),
    "no such module": (["train", "--output-module", "gauss"], "nb_feature_dispersion"),
    "not a number": (["train", "--epochs", "many"], "--epochs"),
    "negative seed": (["train", "--seed", "-1"], "--seed"),
    "no such group": (["train", "--group-key", "person"], "'person'"),
    "unknown option": (["train", "--epoch", "3"], "--epoch"),
    "no such point": (["closest-normal", "--point", "mean"], "map"),
    "no such rule": (["de", "--rule", "t-test"], "equal-tail mid-p"),
    "no such adjustment": (["de", "--adjust", "bonferroni"], "bh"),
    "cutoff out of range": (["de", "--padj-below", "2"], "--padj-below"),
    "share out of range": (["de", "--min-shared", "1.5"], "--min-shared"),
    "no share at all": (["closest-normal", "--min-shared", "0"], "0.0 is not in the range 0<x<=1"),
    "unreadable bound": (["de", "--only", "padj=0.1"], "'padj<0.1'"),
    "bound on no column": (["de", "--only", "p<0.1"], "no column 'p'"),
    "no gene is seen so often": (["train", "--min-detected", "1"], "--min-detected"),
}


@pytest.mark.parametrize("problem", OPTIONS)
def test_bad_options_are_refused(refused, cohort, tmp_path, problem) -> None:
    """The message names the option or its value, and what is allowed."""
    (command, *options), word = OPTIONS[problem]
    counts = cohort / ("normals.h5ad" if command == "train" else "cases.h5ad")
    assert word in refused(*arguments_of(command, counts, cohort, tmp_path / COMMANDS[command]), *options)


@pytest.mark.parametrize("option", [["--point", "mean"], ["--only", "p<0.1"], ["--padj-below", "2"]])
def test_options_are_checked_before_anything_is_read(refused, cohort, tmp_path, option) -> None:
    """The model need not even exist."""
    message = refused("de", tmp_path / "no.dgd", cohort / "cases.h5ad", "-o", tmp_path / "out.csv", *option)
    assert option[0] == "--point" or option[0] in message
    assert "no.dgd" not in message


@pytest.mark.parametrize(
    ("command", "name", "allowed"),
    [
        ("train", "out.h5ad", ".dgd"),
        ("closest-normal", "out.csv", ".h5ad, .zarr"),
        ("de", "out.xlsx", ".csv.gz"),
        ("de", ".csv", ".csv"),
    ],
)
def test_unknown_endings_are_refused_with_those_allowed(
    refused, cohort, tmp_path, command, name, allowed
) -> None:
    """The format goes by the ending; a wrong one is told before any work."""
    message = refused(*arguments_of(command, cohort / "cases.h5ad", cohort, tmp_path / name))
    assert f"cannot tell the format of {tmp_path / name}" in message
    assert allowed in message


@pytest.mark.parametrize("command", ["closest-normal", "train"])
def test_the_input_is_never_overwritten(pydgd, cohort, tmp_path, command) -> None:
    """Counts or a model given as the output by mistake survive."""
    name = "cases.h5ad" if command == "closest-normal" else "cases.dgd"
    (tmp_path / name).write_bytes((cohort / "cases.h5ad").read_bytes())
    done = pydgd(*arguments_of(command, tmp_path / name, cohort, tmp_path / name))
    assert done.code == 2
    assert "it is the input" in done.err
    assert (tmp_path / name).read_bytes() == (cohort / "cases.h5ad").read_bytes()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_folder_is_told_before_the_work(pydgd, cohort, tmp_path, command) -> None:
    """The counts are not even read."""
    output = tmp_path / "nowhere" / COMMANDS[command]
    done = pydgd(*arguments_of(command, cohort / "cases.h5ad", cohort, output))
    assert done.code == 2
    assert "does not exist" in done.err
    assert "read " not in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_no_permission_is_told_before_the_work(pydgd, cohort, tmp_path, monkeypatch, command) -> None:
    """Tests may run as root, whom no folder refuses: the system's refusal is played."""

    def refuse(path: Path, mode: int = 0o666, exist_ok: bool = True) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    done = pydgd(*arguments_of(command, cohort / "cases.h5ad", cohort, tmp_path / COMMANDS[command]))
    assert done.code == 2
    assert "permission denied" in done.err
    assert "read " not in done.err


FULL_DISK = """
import resource, sys
from pydgd.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))
words = [*sys.argv[1:], "then"]
while words:
    end = words.index("then")
    print(main(words[:end]))
    words = words[end + 1 :]
"""


def test_a_full_disk_leaves_nothing_half_written(cohort, tmp_path) -> None:
    """A file may have 4 kB, as if the disk were full: code 2, no crash of HDF5, the old results stay."""
    outputs = [tmp_path / name for name in COMMANDS.values()]
    words: list[object] = []
    for command, output in zip(COMMANDS, outputs, strict=True):
        output.write_text("an older result")
        counts = cohort / ("normals.h5ad" if command == "train" else "cases.h5ad")
        words += [*(["then"] if words else []), *arguments_of(command, counts, cohort, output)]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *map(str, words)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["2"] * len(COMMANDS)), done.stderr
    assert [output for output in outputs if f"error: cannot write {output}" not in done.stderr] == []
    assert "Traceback" not in done.stderr
    assert {output.read_text() for output in outputs} == {"an older result"}
    assert sorted(tmp_path.iterdir()) == sorted(outputs)


@pytest.mark.parametrize("command", ["simulate", "demo"])
def test_a_file_in_the_place_of_the_folder_is_refused(pydgd, tmp_path, command) -> None:
    """`simulate` and `demo` write into a folder; a file of that name stays."""
    (tmp_path / "out").write_text("a file")
    done = pydgd(command, "-o", tmp_path / "out")
    assert done.code == 2
    assert "there is a file of that name" in done.err
    assert (tmp_path / "out").read_text() == "a file"


def test_a_folder_that_cannot_be_written_to_is_named(pydgd, tmp_path, monkeypatch) -> None:
    """Not a file that the user never heard of."""

    def refuse(path: Path, mode: int = 0o666, exist_ok: bool = True) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    done = pydgd("simulate", "-o", tmp_path / "sim")
    assert done.code == 2
    assert f"cannot write {tmp_path / 'sim'}: permission denied" in done.err


def test_counts_that_do_not_fit_in_memory(refused, cohort, monkeypatch) -> None:
    """Told before training, with the file, both sizes and the repair."""
    monkeypatch.setattr("pydgd.data.memory.available_memory", lambda: 1_000)
    monkeypatch.setattr("pydgd.data.memory._swap", lambda: 0)
    said = refused("train", cohort / "normals.h5ad", "-o", "out.dgd", "--in-memory", *SMALL)
    for word in ("normals.h5ad", "takes 0.0 GiB", "0.0 GiB are free", "--stream"):
        assert word in " ".join(said.split())
