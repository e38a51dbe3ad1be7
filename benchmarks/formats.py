# SPDX-License-Identifier: BSD-3-Clause
"""Reading counts: fixtures of every format, time and memory against anndata and pyarrow, and order of names.

    python benchmarks/formats.py [--quick]

Time and memory are those of fresh processes, one for each repeat, ours and the other's in turn; a ratio is
that of the fastest of each. Memory is the largest resident set less that once all is imported. The quick run
reads 200 samples instead of 1,000.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from _figures import Figures
from _gene_identity import add_gene_identity

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
N_SAMPLES, N_SAMPLES_QUICK, N_GENES = 1_000, 200, 20_000
N_REPEATS, N_REPEATS_QUICK = 5, 2

# Each is run with the path of a file; times and memory are of the second part alone.
_PROGRAM = """
import json, sys, time
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
{imports}
before, wall, processor = peak(), time.perf_counter(), time.process_time()
data = {read}
print(json.dumps([time.perf_counter() - wall, time.process_time() - processor, peak() - before]))
"""
_READERS = {
    # The reader loads what it needs of scipy, pyarrow and torch with the package.
    "pydgd": ("import pydgd\npydgd.read_counts", "pydgd.read_counts(sys.argv[1])"),
    "anndata": ("import anndata", "anndata.read_h5ad(sys.argv[1])"),
    "pyarrow": ("from pyarrow import csv", "csv.read_csv(sys.argv[1])"),
    # Wide lines: a block of the default 1 MB holds a dozen of them.
    "pyarrow, 32 MB blocks": (
        "from pyarrow import csv",
        "csv.read_csv(sys.argv[1], read_options=csv.ReadOptions(block_size=2**25))",
    ),
}


def measured(reader, path):
    """Wall time and processor time in s, and memory in MiB, of one fresh process."""
    imports, read = _READERS[reader]
    program = _PROGRAM.format(imports=imports, read=read)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return json.loads(done.stdout)


def fastest(readers, path, n_repeats):
    """For each reader the least of each measure, the readers taken in turn."""
    found = {reader: [] for reader in readers}
    for _ in range(n_repeats):
        for reader in readers:
            found[reader].append(measured(reader, path))
    return {reader: [min(values) for values in zip(*runs, strict=True)] for reader, runs in found.items()}


def write_cohort(folder, n_samples):
    """The same counts as h5ad and as CSV both ways round; the size of the matrix in MiB."""
    import numpy as np
    import pandas as pd
    from anndata import AnnData

    rng = np.random.default_rng(0)
    # Means as in bulk tissue: from hardly a read to 400,000.
    means = np.exp(rng.normal(5.5, 2.2, N_GENES)).clip(0.05, 4e5)
    counts = rng.negative_binomial(2, 2 / (2 + means), (n_samples, N_GENES)).astype(np.int32)
    table = pd.DataFrame(
        counts,
        index=[f"S{i:04d}" for i in range(n_samples)],
        columns=[f"ENSG{i:011d}" for i in range(N_GENES)],
    )
    AnnData(counts, table.iloc[:, :0], table.iloc[:0].T).write_h5ad(folder / "counts.h5ad")
    table.to_csv(folder / "samples.csv", index_label="sample")
    table.T.to_csv(folder / "genes.csv", index_label="gene")
    return counts.nbytes / 2**20


def reading(quick) -> Iterator[tuple]:
    """Time and memory of reading."""
    n_samples = N_SAMPLES_QUICK if quick else N_SAMPLES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_cohort(folder, n_samples)
        yield f"matrix of {n_samples:,} samples x {N_GENES:,} genes (int32), MiB", size
        for file, must, rivals in (
            ("counts.h5ad", 3.0, ["anndata"]),
            ("samples.csv", 1.3, ["pyarrow", "pyarrow, 32 MB blocks"]),
            ("genes.csv", 1.3, ["pyarrow", "pyarrow, 32 MB blocks"]),
        ):
            found = fastest(["pydgd", *rivals], folder / file, N_REPEATS_QUICK if quick else N_REPEATS)
            for reader, (wall, processor, memory) in found.items():
                yield f"{file}, {reader}: wall s", wall
                yield f"{file}, {reader}: processor s", processor
                yield f"{file}, {reader}: peak memory above imports, MiB", memory
            best = min(found[rival][0] for rival in rivals)
            ratio = found["pydgd"][0] / best
            # Of 200 samples a run takes so little that the start of it weighs: no must.
            must_hold = {} if quick else {"must": f"<= {must}", "ok": ratio <= must}
            yield f"{file}: wall time over the fastest other", ratio, must_hold
            share = found["pydgd"][2] / size
            must_hold = {} if quick else {"must": "<= 2.5", "ok": share <= 2.5}
            yield f"{file}: peak memory above imports over the matrix", share, must_hold


def fixtures(quick) -> Iterator[tuple]:  # noqa: ARG001  # as all figures
    """Every good file read, every broken one refused with a named cause: the tests count them."""
    folder = ROOT / "tests" / "data" / "pipelines"
    for file, what in (
        ("test_good_files.py", "good files read"),
        ("test_bad_files.py", "broken files refused"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / file)],
            capture_output=True, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
        counts = {
            word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)
        }
        n_passed, n = counts.get("passed", 0), sum(counts.values())
        yield (
            f"fixtures of every format: {what}",
            f"{n_passed} of {n}",
            {"must": "all", "ok": 0 < n == n_passed},
        )


def order_of_names(quick) -> Iterator[tuple]:  # noqa: ARG001  # as all figures
    """Samples and genes in another order, whatever the format: same results by name, to the bit."""
    import numpy as np

    import pydgd
    from pydgd.data import simulate_cohort

    cohort = simulate_cohort(n_tissues=3, n_per_tissue=30, n_genes=800, seed=0)
    options = {"latent_dim": 6, "epochs": 20, "seed": 0}
    model = pydgd.DGD.fit(cohort.normals, **options)
    rng = np.random.default_rng(1)
    turned = pydgd.DGD.fit(_shuffled(cohort.normals, rng), **options)
    same = _same_model(model, turned)
    yield (
        "training on shuffled samples and genes: same model to the bit",
        str(same),
        {"must": "True", "ok": same},
    )
    expected = _by_name(model, cohort.cases)
    with tempfile.TemporaryDirectory() as name:
        for file in ("x.h5ad", "x.zarr", "x.csv", "x.csv.gz", "x.parquet", "x.feather", "genes.tsv"):
            path = Path(name) / file
            _write(_shuffled(cohort.cases, rng), path)
            found = _by_name(model, pydgd.read_counts(path))
            same = all(ours.equals(theirs) for ours, theirs in zip(found, expected, strict=True))
            yield (
                f"{file}, shuffled: same normals and tests to the bit",
                str(same),
                {"must": "True", "ok": same},
            )


def _shuffled(adata, rng):
    return adata[rng.permutation(adata.n_obs), rng.permutation(adata.n_vars)].copy()


def _same_model(model, other):
    import torch

    ours, theirs = model.record.model.state_dict(), other.record.model.state_dict()
    return (
        model.genes == other.genes
        and model.representations.equals(other.representations)
        and all(torch.equal(ours[key], theirs[key]) for key in ours)
    )


def _by_name(model, adata):
    """Representations, expected reads and tests, sorted by name."""
    import pandas as pd

    import pydgd

    normal = model.closest_normal(adata)
    names = pd.Index(normal.sample_names)
    table = pydgd.differential_expression(adata, normal)
    # As text: categories are in the order of the data.
    table = table.astype({"sample": str, "gene": str})
    return (
        pd.DataFrame(normal.representations, index=names).sort_index(),
        pd.DataFrame(normal.means, index=names, columns=list(normal.genes)).sort_index().sort_index(axis=1),
        table.sort_values(["sample", "gene"], ignore_index=True),
    )


def _write(adata, path):
    table = adata.to_df().rename_axis("sample")
    if path.suffix == ".h5ad":
        adata.write_h5ad(path)
    elif path.suffix == ".zarr":
        from pydgd.data.growing import write_parts

        write_parts([adata], path)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".feather":
        table.reset_index().to_feather(path)
    elif path.name == "genes.tsv":
        table.T.rename_axis("gene").to_csv(path, sep="\t")
    else:
        table.to_csv(path)


def peer_parity(quick):  # noqa: ARG001  # a few seconds either way
    """The peer's own models, imported, against its own outputs."""
    from _peer_parity import parity

    with tempfile.TemporaryDirectory() as scratch:
        for one in parity(SHARED / "peer" / "artifacts", Path(scratch)):
            must = {"must": f"<= {one.limit:g}", "ok": one.worst <= one.limit}
            yield f"bulkdgd's models imported: {one.what}", one.worst, must


# Each takes whether the run is quick, and yields what, value and perhaps what it must be.
FIGURES = [fixtures, reading, order_of_names, peer_parity]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    figures = Figures("formats", quick)
    for of_one_kind in FIGURES:
        for what, value, *must in of_one_kind(quick):
            figures.add(what, value, **(must[0] if must else {}))
    add_gene_identity(figures)
    return figures.finish()


if __name__ == "__main__":
    raise SystemExit(main())
