# SPDX-License-Identifier: BSD-3-Clause
"""Make the model that comes with PyDGD and its card.

    python recipes/normal_tissues.py ../shared/data/normals.h5ad [--check]

The counts are no part of the project (docs/models/normal-tissues.md says where they are from): samples and
genes by HUGO symbol, with `obs` tissue, donor, project and split. It
trains on the split "train" with default options and seed 0, on one thread: the same machine and versions give
the same content hash. `--check` trains again, compares the hash, and writes nothing.
"""

import argparse
import json
import os
from hashlib import sha256
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when it is imported

import numpy as np
import pandas as pd

import pydgd

MODELS = Path(pydgd.__file__).parent / "models"
NAME = "normal-tissues"
# A gene counts as expected too high in a tissue where it has this many reads, and is expected so often.
BRIGHT, TOO_HIGH = 1_000, 10


def train(normals):
    """The model of the samples to train on."""
    return pydgd.DGD.fit(normals[normals.obs["split"] == "train"].copy(), seed=0)


def card(model, normals, counts_file):
    """What the page about the model says, as measured."""
    unseen = normals[normals.obs["split"] == "test_heldout"].copy()
    normal = model.closest_normal(unseen)
    train = normals.obs[normals.obs["split"] == "train"]
    return {
        "name": NAME,
        "content_sha256": model.provenance["sha256"],
        "counts_sha256": sha256(counts_file.read_bytes()).hexdigest(),
        "genes": len(model.genes),
        "samples": {
            tissue: {project: int(n) for project, n in rows["project"].value_counts().items() if n}
            for tissue, rows in train.groupby("tissue", observed=True)
        },
        "trained_on": model.provenance["n_training_samples"],
        "held_out_for_calibration": model.provenance["n_held_out_samples"],
        "versions": model.provenance["versions"],
        "never_seen": {
            "samples": unseen.n_obs,
            "nll_per_count": float(normal.fit["dgd_nll_per_gene"].mean()),
            "with_close_normal": float((normal.fit["dgd_close_normal"] == True).mean()),  # noqa: E712  # or missing
            "nearest_label_is_tissue": nearest_is_own(normal, unseen),
            **calibration(model, unseen),
        },
        "expected_too_high": too_high(normal, unseen),
    }


def nearest_is_own(normal, adata):
    """Share of samples whose tissue is the most frequent one among their nearest training samples."""
    nearest = normal.fit["dgd_nearest_labels"].astype(str)
    own = [label.startswith(str(tissue)) for label, tissue in zip(nearest, adata.obs["tissue"], strict=True)]
    return float(np.mean(own))


def calibration(model, adata):
    """What the p-values are like on healthy samples."""
    table = pydgd.calibration_report(model, adata).table()
    rows = table[
        (table["p_values"] == "calibrated")
        & table["measure"].isin(["size over level", "calls per sample, mean"])
    ]
    return {
        f"{row.measure}, {row.genes}, {row.level:g}": float(row.value) for row in rows.itertuples(index=False)
    }


def too_high(normal, adata):
    """Genes whose median reads in a tissue are expected tenfold too high."""
    counts, found = pd.DataFrame(adata[:, list(normal.genes)].to_df()), []
    expected = pd.DataFrame(normal.means, index=counts.index, columns=counts.columns)
    for tissue, rows in adata.obs.groupby("tissue", observed=True):
        reads, mean = counts.loc[rows.index].median(), expected.loc[rows.index].median()
        for gene in reads.index[(reads >= BRIGHT) & (mean >= TOO_HIGH * reads)]:
            times = round(float(mean[gene] / reads[gene]))
            found.append({"tissue": str(tissue), "gene": gene, "times": times})
    return sorted(found, key=lambda one: -one["times"])


def write(model, facts):
    """Model and card into the package."""
    MODELS.mkdir(exist_ok=True)
    model.save(MODELS / f"{NAME}.dgd")
    (MODELS / f"{NAME}.json").write_text(json.dumps(facts, indent=2) + "\n")


def main():
    """Train, and write or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    normals = pydgd.read_counts(arguments.counts)
    model = train(normals)
    found = model.provenance["sha256"]
    if arguments.check:
        kept = json.loads((MODELS / f"{NAME}.json").read_text())["content_sha256"]
        print(f"trained {found}\nkept    {kept}")
        return int(found != kept)
    facts = card(model, normals, arguments.counts)
    write(model, facts)
    print(json.dumps(facts, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
