# SPDX-License-Identifier: BSD-3-Clause
"""Training: against the peer's, over seeds, and through fifty kills.

    python benchmarks/training.py [--quick] [--part PART]

Needs ``../shared``. The peer (bulkdgd 2.0.1) trains its shipped recipe in an environment of its own, on 5,000
genes of the healthy samples; its final held-out likelihood is the one at the best representations that our
search finds for its decoder, which is kinder to it than its own. Times are the processor's.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import anndata as ad
import numpy as np
import torch

import pydgd
from _figures import Figures
from _heldout import SHARED, score
from pydgd.data import simulate_cohort

N_KILLS, N_SEEDS = 50, 12
PEER_GENES, PEER_EPOCHS = 5_000, 200


def normals():
    """Training donors and the donors that nobody trains on."""
    adata = ad.read_h5ad(SHARED / "data" / "normals.h5ad")
    held_out = adata.obs["split"].astype(str) == "test_heldout"
    return adata[~held_out].copy(), adata[held_out].copy()


def seeds(figures, n_seeds):
    """The default training, whole, from every seed."""
    train, test = normals()
    scores, n_not_finite = [], 0
    for seed in range(n_seeds):
        model = pydgd.DGD.fit(train, seed=seed)
        losses = model.history.drop(columns="validation_nll").to_numpy()
        n_not_finite += int((~np.isfinite(losses)).sum()) + int(model.history.n_skipped.iloc[-1])
        scores.append(score(model, test)[0])
    figures.add(
        f"{n_seeds} seeds: losses that are not finite, and skipped batches",
        n_not_finite,
        "0",
        n_not_finite == 0,
    )
    spread = (max(scores) - min(scores)) / np.mean(scores)
    figures.add(f"{n_seeds} seeds: held-out NLL per count, mean", float(np.mean(scores)))
    figures.add(
        f"{n_seeds} seeds: its largest less its smallest, over the mean", spread, "<= 0.005", spread <= 0.005
    )


def in_child(action):
    """Run in a forked process; its number."""
    process = os.fork()
    if process:
        return process
    try:
        action()
    except BaseException:
        os._exit(1)
    os._exit(0)


def train_command(counts, model, *more):
    """`pydgd train` in this process."""
    from pydgd.cli import main

    arguments = ["train", counts, "-o", model, "--epochs", 60, "--checkpoint-every", 1e-6, "--quiet", *more]
    code = main([str(argument) for argument in arguments])
    if code:
        raise SystemExit(code)


def kills(figures, n_kills):
    """Kill a training at a random moment, resume it, and compare the model with that of a whole one."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = folder / "normals.h5ad"
        simulate_cohort(n_tissues=4, n_per_tissue=40, n_genes=400, seed=0).normals.write_h5ad(counts)
        for _ in range(2):  # the first one also warms up what later ones find ready
            (folder / "whole.dgd").unlink(missing_ok=True)
            start = time.perf_counter()
            os.waitpid(in_child(lambda: train_command(counts, folder / "whole.dgd")), 0)
            seconds = time.perf_counter() - start
        whole = pydgd.DGD.load(folder / "whole.dgd").provenance["sha256"]
        same, killed, resumed = 0, 0, 0
        for i in range(n_kills):
            model = folder / f"{i}.dgd"
            process = in_child(lambda model=model: train_command(counts, model))
            time.sleep(rng.uniform(0.1, 1.0) * seconds)
            os.kill(process, signal.SIGKILL)
            killed += os.WIFSIGNALED(os.waitpid(process, 0)[1])
            resumed += (folder / f"{i}.dgd.checkpoint" / "latest.json").exists()
            os.waitpid(in_child(lambda model=model: train_command(counts, model, "--resume")), 0)
            same += pydgd.DGD.load(model).provenance["sha256"] == whole
        left = [path.name for path in folder.iterdir() if path.suffix not in {".dgd", ".h5ad"}]
    figures.add(
        f"{n_kills} kill -9 at random moments, then --resume: models that are the same",
        same,
        f"{n_kills}",
        same == n_kills,
    )
    figures.add("  of these, killed before they had ended", killed)
    figures.add("  of these, with a state to resume", resumed)
    figures.add("  files left over", len(left), "0", not left)


def against_peer(figures):
    """Seconds until its final held-out likelihood."""
    from _peer_decoder import PeerShape, imported, trained_by_peer, training_seconds
    from pydgd.inference import find_representations

    train, test = normals()
    rows = np.asarray(train.X.sum(axis=0)).ravel().argsort()[::-1][:PEER_GENES]
    train, test = train[:, np.sort(rows)].copy(), test[:, np.sort(rows)].copy()
    shape = PeerShape(n_genes=PEER_GENES, epochs=PEER_EPOCHS)
    folder = trained_by_peer(shape, np.asarray(train.X, dtype=np.int32))
    peer_seconds = training_seconds(folder)
    x = torch.as_tensor(np.asarray(test.X, dtype=np.float32))
    found = find_representations(imported(shape, folder), x, x.mean(dim=1))
    goal = float(found.nll.mean()) / PEER_GENES
    seconds, model = reached(train, test, goal)
    figures.add("peer: processor s of its training", peer_seconds)
    figures.add("peer: held-out NLL per count", goal)
    figures.add("ours: held-out NLL per count when it was reached", model)
    figures.add("ours: processor s until then", seconds)
    times = peer_seconds / seconds
    figures.add("times less", times, ">= 50", times >= 50)


def reached(train, test, goal):
    """Processor seconds of the shortest training that gets there, and where it got."""
    for epochs in (1, 2, 4, 8, 16, 40):
        start = time.process_time()
        model = pydgd.DGD.fit(train, epochs=epochs, validation=0.0)
        seconds = time.process_time() - start
        nll = score(model, test)[0]
        if nll <= goal:
            return seconds, nll
    return float("inf"), nll


PARTS = {
    "kills": lambda figures, quick: kills(figures, 3 if quick else N_KILLS),
    "seeds": lambda figures, _quick: seeds(figures, N_SEEDS),
    "peer": lambda figures, _quick: against_peer(figures),
}
QUICK_PARTS = ("kills",)


def main():
    """Kills, seeds, and the peer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", choices=PARTS, help="measure this part again")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    figures = Figures("training", arguments.quick)
    if arguments.part:
        figures.keep_other_parts(arguments.part)
    for part in [arguments.part] if arguments.part else QUICK_PARTS if arguments.quick else PARTS:
        figures.part = part
        PARTS[part](figures, arguments.quick)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
