# SPDX-License-Identifier: BSD-3-Clause
"""Everything that PyDGD reads, each with a good example and the ways to spoil it."""

import gzip
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save
from scipy import sparse
from tests.checkpoints.conftest import make_record
from tests.checkpoints.peer_files import write_peer_model
from tests.data.pipelines.conftest import COUNTS, GENES, SAMPLES, WRITERS, frame, one_file, options_of

import pydgd
from pydgd.checkpoints import load_model, native, read_bulkdgd, read_bulkdgd_table, save_model
from pydgd.cli.result_tables import read_annotated, read_groups, read_rows, read_table
from pydgd.config import TrainingConfig, training_config
from pydgd.data import GeneTable, read_counts
from pydgd.data.growing import write_parts
from pydgd.inference.saved import SavedNormal
from pydgd.tl.gene_set_files import read_gene_sets
from pydgd.training import keeper, run_state

from . import command_lines
from .mutations import VALUES, array_changed, bytes_changed, hdf5_changed, json_changed, text_changed

Read = Callable[[], object]
Spoil = Callable[[random.Random], tuple[int, Read]]
"""Writes one spoilt input; its bytes, and what reads it."""


@dataclass(frozen=True)
class Target:
    """A reader and its hostile inputs.

    Attributes:
        weight: Share of the inputs; the quick ones get more.
        make: Prepares an empty folder.
    """

    weight: int
    make: Callable[[Path], Spoil]


TARGETS: dict[str, Target] = {}


def _target(name: str, weight: int = 4) -> Callable[[Callable[..., Spoil]], Callable[..., Spoil]]:
    def register(make: Callable[[Path], Spoil]) -> Callable[[Path], Spoil]:
        TARGETS[name] = Target(weight, make)
        return make

    return register


def of_bytes(path: Path, read: Read, *, text: bool = False) -> Spoil:
    """Spoil one file: its bytes, or if it is text mostly its fields; what is packed is unpacked first."""
    good = path.read_bytes()
    packed = path.suffix == ".gz"
    plain = gzip.decompress(good) if packed else good

    def spoil(rng: random.Random) -> tuple[int, Read]:
        if text and rng.random() < 0.75:
            # Surrogates cannot be written; a file has bytes.
            inside = text_changed(rng, plain.decode()).encode(errors="replace")
            content = gzip.compress(inside, 1, mtime=0) if packed else inside
        else:
            content = bytes_changed(rng, good)
        path.write_bytes(content)
        return len(content), read

    return spoil


def _pipeline(family: str) -> Callable[[Path], Spoil]:
    def make(folder: Path) -> Spoil:
        inside = folder / "files"
        inside.mkdir()
        path = WRITERS[family](inside)
        options = options_of(family, path)
        return of_bytes(one_file(family, path), lambda: read_counts(path, **options), text=True)

    return make


for _family in WRITERS:
    _target(_family, 4)(_pipeline(_family))


@_target("mtx features")
def _(folder: Path) -> Spoil:
    WRITERS["mtx2"](folder)
    return of_bytes(folder / "genes.tsv", lambda: read_counts(folder), text=True)


@_target("tx2gene")
def _(folder: Path) -> Spoil:
    inside = folder / "files"
    path = WRITERS["salmon"](inside)
    options = options_of("salmon", path)
    return of_bytes(options["tx2gene"], lambda: read_counts(path, **options), text=True)


def _table(name: str, write: Callable[[Path], object], *, text: bool) -> Callable[[Path], Spoil]:
    def make(folder: Path) -> Spoil:
        path = folder / name
        write(path)
        return of_bytes(path, lambda: read_counts(path), text=text)

    return make


def labelled() -> pd.DataFrame:
    """Counts beside a label."""
    return frame().assign(tissue=["liver", "lung", "liver"]).rename_axis("sample")


_target("csv", 40)(_table("x.csv", lambda path: frame().rename_axis("sample").to_csv(path), text=True))
_target("tsv of genes", 24)(_table("x.tsv", lambda path: frame().T.to_csv(path, sep="\t"), text=True))
_target("csv with labels", 24)(_table("x.csv", lambda path: labelled().to_csv(path), text=True))
_target("csv.gz")(_table("x.csv.gz", lambda path: frame().to_csv(path), text=True))
_target("csv.xz", 2)(_table("x.csv.xz", lambda path: frame().to_csv(path), text=False))
_target("csv.bz2", 2)(_table("x.csv.bz2", lambda path: frame().to_csv(path), text=False))
_target("parquet", 8)(_table("x.parquet", lambda path: labelled().to_parquet(path), text=False))
_target("feather", 8)(_table("x.feather", lambda path: labelled().reset_index().to_feather(path), text=False))


@_target("parquet columns")
def _(folder: Path) -> Spoil:
    path = folder / "x.parquet"
    columns: list[Any] = [
        [1, 2, 3], [1.5, None, 3.0], ["a", "b", None], [True, False, True], [[1], [2, 3], []], [{"a": 1}] * 3,
        [b"x", b"y", b"z"], [2**63 - 1, 0, -1], [None] * 3, pd.to_datetime(["2020"] * 3), ["", " ", "=1"],
        pd.Categorical(["a", "b", "a"]), [np.inf, 0.0, -np.inf], ["1", "2", "x"],
    ]  # fmt: skip

    def spoil(rng: random.Random) -> tuple[int, Read]:
        names = ["sample", "S1", "ENSG00000000003", "age", "length", "", "x" * 3000, "=1", "gene"]
        chosen = {
            rng.choice(names) + ("_" * i if i > 1 else ""): rng.choice(columns)
            for i in range(rng.randint(1, 5))
        }
        table = pd.DataFrame(chosen, index=rng.choice((None, ["a", "b", "c"], ["a", "a", ""])))
        table.to_parquet(path, index=rng.choice((None, True, False)))
        return path.stat().st_size, lambda: read_counts(path)

    return spoil


def counts_data(kind: str) -> anndata.AnnData:
    """Three samples with labels, dense or sparse."""
    matrix = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix}.get(kind, np.asarray)(
        COUNTS.astype(np.float32)
    )
    obs = pd.DataFrame(
        {"tissue": pd.Categorical(["liver", "lung", "liver"]), "age": [1.0, 2, 3]}, index=SAMPLES
    )
    return anndata.AnnData(matrix, obs=obs, var=pd.DataFrame(index=GENES))


def of_hdf5(path: Path, read: Read) -> Spoil:
    """Spoil an HDF5 file: its bytes, or groups, datasets and attributes."""
    good = path.read_bytes()

    def spoil(rng: random.Random) -> tuple[int, Read]:
        if rng.random() < 0.5:
            path.write_bytes(bytes_changed(rng, good))
        else:
            path.write_bytes(good)
            hdf5_changed(rng, path)
        return path.stat().st_size, read

    return spoil


def _h5ad(kind: str) -> Callable[[Path], Spoil]:
    def make(folder: Path) -> Spoil:
        path = folder / "x.h5ad"
        counts_data(kind).write_h5ad(path)
        return of_hdf5(path, lambda: read_counts(path))

    return make


for _kind in ("dense", "csr", "csc"):
    _target(f"h5ad {_kind}", 5)(_h5ad(_kind))


def of_folder(folder: Path, good: Path, read: Read) -> Spoil:
    """Spoil one file of a folder: JSON by its values, others by their bytes, or take it away."""
    shutil.copytree(folder, good)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    last: list[Path] = []

    def spoil(rng: random.Random) -> tuple[int, Read]:
        for name in last:
            (folder / name).write_bytes((good / name).read_bytes())
        name = rng.choice(names)
        last[:] = [name]
        content, path = (good / name).read_bytes(), folder / name
        if rng.random() < 0.05:
            path.unlink()
        elif content[:1] in (b"{", b"[") and rng.random() < 0.7:
            path.write_text(json_changed(rng, content.decode()))
        else:
            path.write_bytes(bytes_changed(rng, content))
        return sum((folder / name).stat().st_size for name in names if (folder / name).exists()), read

    return spoil


def _zarr(kind: str) -> Callable[[Path], Spoil]:
    def make(folder: Path) -> Spoil:
        path = folder / "x.zarr"
        write_parts([counts_data(kind)], path)
        return of_folder(path, folder / "good", lambda: read_counts(path))

    return make


for _kind in ("dense", "csr"):
    _target(f"zarr {_kind}", 2)(_zarr(_kind))


@_target("model, bytes", 50)
def _(folder: Path) -> Spoil:
    path = folder / "x.dgd"
    save_model(make_record(), path)
    return of_bytes(path, lambda: load_model(path))


def tensors_of(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Metadata and tensors of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return file.metadata(), {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


def tensor_changed(rng: random.Random, tensors: dict[str, torch.Tensor]) -> None:
    """Spoil or remove one tensor."""
    name = rng.choice(sorted(tensors))
    if rng.random() < 0.15:
        tensors[rng.choice(("extra", "prior.means", "../x"))] = tensors.pop(name)
    else:
        tensors[name] = torch.from_numpy(array_changed(rng, tensors[name].numpy()).copy(order="C"))


def of_safetensors(
    path: Path, read: Read, rehash: Callable[[dict[str, str], dict[str, torch.Tensor]], str]
) -> Spoil:
    """Spoil parts of a file and write it with a hash that fits."""
    metadata, tensors = tensors_of(path)
    entries = [name for name, text in metadata.items() if text[:1] in "{[" or name in ("scaling", "labels")]

    def spoil(rng: random.Random) -> tuple[int, Read]:
        texts, parts = dict(metadata), dict(tensors)
        for _ in range(rng.randint(1, 2)):
            if rng.random() < 0.6:
                name = rng.choice(entries)
                texts[name] = json_changed(rng, metadata[name])
            else:
                tensor_changed(rng, parts)
        texts["sha256"] = rehash({name: text for name, text in texts.items() if name != "sha256"}, parts)
        content = save(parts, texts)
        path.write_bytes(content)
        return len(content), read

    return spoil


for _prior in ("em", "gradient"):

    def _whole(folder: Path, prior: str = _prior) -> Spoil:
        path = folder / "x.dgd"
        save_model(make_record(prior=prior, widths=(4,)), path)
        return of_safetensors(path, lambda: load_model(path), native._checksum)

    _target(f"model, {_prior}, hash made to fit", 8)(_whole)


def small_run() -> tuple[np.ndarray, dict[str, Any]]:
    """Counts and arguments of a training that takes a moment."""
    counts = np.random.default_rng(0).poisson(20.0, (24, 8)).astype(float)
    options = {"latent_dim": 2, "n_components": 2, "epochs": 2, "batch_size": 12}
    return counts, options


def checkpoint_in(folder: Path) -> tuple[Path, Read]:
    """A kept state of a training, and what puts a run back into it."""
    from pydgd.data import scaling_factors, typical_profile
    from pydgd.training import Checkpoints, fit

    counts, options = small_run()
    config = training_config(**options)
    profile = typical_profile(counts, rule=config.scaling)
    factors = scaling_factors(counts, rule=config.scaling, profile=profile)
    known = {"genes": [f"g{i}" for i in range(8)], "profile": profile, "config": config}
    state = folder / "state"
    held: list[Any] = []

    class Holds(keeper.Keeper):
        """Keeps hold of the run."""

        def keep(self, run: Any) -> None:
            held[:] = [run, self]
            super().keep(run)

    original, module = keeper.Keeper, __import__("pydgd.training.fit", fromlist=["Keeper"])
    module.Keeper = Holds
    try:
        fit(counts, factors, checkpoints=Checkpoints(state, every=0.0), **known)
    finally:
        module.Keeper = original
    run, kept = held
    return state, lambda: kept.restore(run)


@_target("checkpoint, bytes", 10)
def _(folder: Path) -> Spoil:
    state, read = checkpoint_in(folder)
    return of_folder(state, folder / "good", read)


@_target("checkpoint, hash made to fit", 6)
def _(folder: Path) -> Spoil:
    state, read = checkpoint_in(folder)
    path = next(state.glob("step-*"))
    return of_safetensors(path, read, lambda texts, parts: run_state._digest(texts["run"], parts))


@_target("saved closest normals", 4)
def _(folder: Path) -> Spoil:
    path = folder / "x.h5ad"
    model, query = small_model()
    model.closest_normal(query).to_anndata(query).write_h5ad(path)
    aligned = model.record

    def read() -> None:
        from pydgd.data import align_to_genes, match_genes

        match = match_genes(query, aligned.model.genes)
        saved = SavedNormal.read(path)
        saved.check(model_sha256=aligned.content_hash, sample_names=query.obs_names, match=match)
        saved.of(aligned.model, align_to_genes(query, aligned.model.genes))

    return of_hdf5(path, read)


def small_model() -> tuple[pydgd.DGD, anndata.AnnData]:
    """A model of a moment's training, and two samples."""
    counts, options = small_run()
    names = [f"ENSG{i:011d}" for i in range(8)]
    cohort = anndata.AnnData(
        counts, pd.DataFrame(index=[f"N{i}" for i in range(24)]), pd.DataFrame(index=names)
    )
    return pydgd.DGD.fit(cohort, validation=0.0, **options), cohort[:2].copy()


@_target("model of bulkdgd, YAML", 3)
def _(folder: Path) -> Spoil:
    write_peer_model(folder)
    return of_bytes(folder / "model.yaml", lambda: read_bulkdgd(folder), text=True)


@_target("model of bulkdgd, weights", 3)
def _(folder: Path) -> Spoil:
    write_peer_model(folder)
    return of_bytes(folder / "gmm.pth", lambda: read_bulkdgd(folder))


@_target("table of bulkdgd", 6)
def _(folder: Path) -> Spoil:
    path = folder / "x.csv"
    pd.DataFrame(
        {"latent_dim_1": [0.5, 1.0], "latent_dim_2": [1.0, 2.0], "tissue": ["a", "b"]}, index=["S1", "S2"]
    ).to_csv(path)
    return of_bytes(path, lambda: read_bulkdgd_table(path), text=True)


@_target("table of genes", 6)
def _(folder: Path) -> Spoil:
    path = folder / "x.tsv"
    path.write_text(
        "ensembl\tsymbol\tentrez\tprevious\nENSG00000000003\tTP53\t7157\tP53\nENSG00000000005\tMYC\t4609\t\n"
    )
    return of_bytes(path, lambda: GeneTable.read(path), text=True)


@_target("sets of genes", 6)
def _(folder: Path) -> Spoil:
    path = folder / "x.gmt"
    path.write_text("one\tabout\tTP53\tMYC\ntwo\tabout\tKRAS\n")
    return of_bytes(path, lambda: read_gene_sets(path), text=True)


@_target("table of results", 6)
def _(folder: Path) -> Spoil:
    path = folder / "x.csv"
    path.write_text("sample,gene,pvalue,group\nS1,TP53,0.1,a\nS2,MYC,0.2,b\n")

    def read() -> None:
        for reader in (lambda: read_table(path), lambda: read_rows(path), lambda: read_groups(path, None)):
            reader()

    return of_bytes(path, read, text=True)


@_target("h5ad of results", 3)
def _(folder: Path) -> Spoil:
    path = folder / "x.h5ad"
    counts_data("dense").write_h5ad(path)
    return of_hdf5(path, lambda: read_annotated(path))


@_target("options", 40)
def _(folder: Path) -> Spoil:
    names = [*TrainingConfig.model_fields, "extra", ""]

    def spoil(rng: random.Random) -> tuple[int, Read]:
        options = {rng.choice(names): rng.choice(VALUES) for _ in range(rng.randint(1, 4))}
        return len(repr(options)), lambda: training_config(**options)

    return spoil


_target("command lines", 1)(command_lines.spoilt_lines)


def spoilt(name: str, folder: Path, seeds: range) -> Iterator[tuple[int, int, Read]]:
    """Inputs of one target by seed: seed, bytes, and what reads it. An input depends on its seed alone."""
    folder.mkdir(parents=True)
    spoil = TARGETS[name].make(folder)
    for seed in seeds:
        yield seed, *spoil(random.Random(f"{name} {seed}"))
