# SPDX-License-Identifier: BSD-3-Clause
"""The search for representations: on a decoder of bulkdgd against its own search, and on our default model.

    python benchmarks/search.py [--quick]

A decoder of the size that bulkdgd ships is trained by bulkdgd 2.0.1 itself (kept under ``build/``), its files
are imported, and both searches find the same samples, by turns, on one thread each. Objectives are
-ln p(x, z) by our likelihood for both. Time is the processor's, so that other programs do not count.

Musts of the search that are measured elsewhere: memory and time of 10,000 samples by `streaming.py`
(``results/streaming.json``), the flag "no close normal" and heart and muscle by `no_close_normal.py`
(``results/no_close_normal.json``).
"""

import argparse
from time import process_time

import numpy as np
import torch

import pydgd
from _figures import Figures
from _heldout import SHARED
from _peer_decoder import PEER_SEARCH, PeerShape, imported, trained_by_peer
from _peer_turns import PeerTurns
from pydgd.data import align_to_genes, scaling_factors
from pydgd.dgd import POINTS
from pydgd.inference import find_representations
from pydgd.inference.objective import FrozenObjective
from pydgd.inference.search import frozen
from pydgd.inference.second_order import block_size, memory_for, refine

N_TUMOURS = 80
N_BY_THREADS = 24  # samples whose table is made with one thread and with two
TURN = 8  # samples of a turn of the peer: its batch
RESTARTS = 20
# Random starts: draws of the prior, every second one twice as far from its mean.
STRETCH = (1.0, 2.0)
QUICK_SHAPE = PeerShape(
    n_genes=1000, latent_dim=8, n_components=8, n_units_hidden_layers=(50, 100), epochs=10
)


def samples(name, n=None, split=None):
    """Some samples of a file, the same ones in every run."""
    adata = pydgd.read_counts(SHARED / "data" / f"{name}.h5ad")
    if split is not None:
        adata = adata[(adata.obs["split"] == split).to_numpy()]
    order = np.random.default_rng(0).permutation(adata.n_obs)[:n]
    return adata[order].copy()


def find(joint, query):
    """Representations of counts and scaling factors, the curvature included."""
    return find_representations(joint, *query, curvature=True)


def same_bits(joint, query, together, sizes):
    """Whether samples alone, in another order and in smaller batches have the same answers to the bit."""
    n = len(query[0])
    order = torch.from_numpy(np.random.default_rng(1).permutation(n))
    batches = [order, *(torch.arange(first, min(first + size, n)) for size in sizes for first in (0, n // 3))]
    for rows in batches:
        again = find(joint, [values[rows] for values in query])
        if not all(torch.equal(one[rows], two) for one, two in zip(together, again, strict=True)):
            return False
    return True


def values_at(joint, query, z):
    """-ln p(x, z) of each sample at given representations."""
    found, measured = [], torch.ones(query[0].shape[1], dtype=torch.bool)
    with frozen(joint):
        for rows in torch.arange(len(z)).split(TURN):
            objective = FrozenObjective(joint, *(values[rows] for values in query), measured)
            found.append(objective.value(z[rows]))
    return torch.cat(found)


def by_turns(shape, folder, joint, query):
    """Both searches of the same samples: ours, seconds of ours per sample, theirs, seconds of theirs."""
    parts, theirs, seconds, theirs_seconds = [], [], 0.0, 0.0
    size = min(block_size(joint), len(query[0]))
    arguments = shape.arguments(folder, query[0].numpy())
    with PeerTurns(PEER_SEARCH, *arguments) as peer:
        for first in range(0, len(query[0]), size):
            for turn in range(first, min(first + size, len(query[0])), TURN):
                answer = peer.ask(f"{turn} {min(turn + TURN, len(query[0]))}")
                theirs.append(torch.tensor(answer["z"], dtype=torch.float64))
                theirs_seconds += answer["seconds"]
            start = process_time()
            parts.append(find_representations(joint, *(values[first : first + size] for values in query)))
            seconds += process_time() - start
    ours = torch.cat([part.value for part in parts])
    n = len(query[0])
    return ours, seconds / n, torch.cat(theirs), theirs_seconds / n


def add_peer_decoder(figures, *, quick):
    """The decoder of the peer, searched by both."""
    # Together a full block of ours: fewer would be padded to it, and cost as much.
    shape, n = (QUICK_SHAPE, 4) if quick else (PeerShape(), 32)
    training = samples("normals", split="train")
    counts = np.asarray(training.X)
    # The genes with most reads; what a gene is called does not matter here.
    genes = np.sort(np.argsort(-counts.mean(axis=0), kind="stable")[: shape.n_genes])
    folder = trained_by_peer(shape, counts[:, genes])
    joint = imported(shape, folder)
    groups = (samples("normals", n, "test_heldout"), samples("tumours", n))
    x = torch.from_numpy(np.concatenate([np.asarray(group.X)[:, genes] for group in groups])).float()
    query = [x, x.mean(dim=1)]
    ours, seconds, z, peer_seconds = by_turns(shape, folder, joint, query)
    gain = values_at(joint, query, z) - ours
    size = "-".join(map(str, (shape.latent_dim, *shape.n_units_hidden_layers, shape.n_genes)))
    figures.add(f"peer's decoder {size}: its two_opt, s per sample of the processor", peer_seconds)
    figures.add("  ours, s per sample of the processor", seconds)
    ratio = peer_seconds / seconds
    figures.add("  times less", ratio, ">= 10", None if quick else ratio >= 10)
    no_worse = float((gain >= -1).double().mean())
    figures.add(
        f"  share of {len(gain)} samples no worse than it by more than 1 nat",
        no_worse,
        ">= 0.95",
        None if quick else no_worse >= 0.95,
    )
    better = float(gain.mean())
    figures.add("  nats better, mean", better, "> 0", None if quick else better > 0)
    for name, part in zip(("held-out normals", "tumours"), gain.split(n), strict=True):
        figures.add(f"  nats better, {name}: median", float(part.median()))
        figures.add(f"  nats better, {name}: worst", float(part.min()))
    few = [values[: 2 * TURN] for values in query]
    same = same_bits(joint, few, find(joint, few), (1,))
    figures.add("  same bits alone and in another order", str(same), "True", same)


def own_model(*, quick):
    """Our default model of the training samples."""
    training = samples("normals", split="train")
    return pydgd.DGD.fit(training[:, :2000].copy() if quick else training, seed=0)


def aligned(model, adata):
    """Counts and scaling factors as the model takes them."""
    found, joint = align_to_genes(adata, model.genes), model.record.model
    profile = joint.profile.double().numpy()
    factors = scaling_factors(found.counts, rule=joint.scaling, profile=profile, measured=found.measured)
    return [torch.as_tensor(values, dtype=torch.float32) for values in (found.counts, factors)]


def best_of_restarts(joint, query):
    """Lowest objective that refinement reaches from random starts, for each sample."""
    generator = torch.Generator().manual_seed(1)
    best = torch.full((len(query[0]),), torch.inf, dtype=torch.float64)
    middle = joint.prior.weights.detach().double() @ joint.prior.means.detach().double()
    measured = torch.ones(query[0].shape[1], dtype=torch.bool)
    with frozen(joint):
        for restart in range(RESTARTS):
            draws = joint.prior.sample(len(best), generator=generator).double()
            starts = middle + STRETCH[restart % 2] * (draws - middle)
            for rows in torch.arange(len(best)).split(block_size(joint)):
                objective = FrozenObjective(joint, *(values[rows] for values in query), measured)
                memory = memory_for(objective, starts[rows])
                end = refine(objective, starts[rows], memory, max_iter=200, tolerance=1e-3)
                best[rows] = torch.minimum(best[rows], end.value)
    return best


def add_own_model(figures, *, quick):
    """Our default model."""
    model = own_model(quick=quick)
    joint, n = model.record.model, 8 if quick else None
    genes = f"{len(model.genes):,} genes"
    groups = {
        "held-out normals": (samples("normals", n, "test_heldout"), 0.99),
        "tumours": (samples("tumours", n or N_TUMOURS), 0.95),
    }
    for name, (adata, must) in groups.items():
        start = process_time()
        model.closest_normal(adata)
        seconds = (process_time() - start) / adata.n_obs
        what = f"default model, {adata.n_obs} {name}, {genes}"
        figures.add(f"{what}: closest normal, s per sample", seconds, "<= 0.1", seconds <= 0.1)
        query = aligned(model, adata)
        start = process_time()
        found = find(joint, query)
        figures.add("  of which search", (process_time() - start) / adata.n_obs)
        figures.add("  evaluations, mean", float(found.evaluations.double().mean()))
        converged = float((found.decrement < 0.01).double().mean())
        figures.add("  share that converged", converged, "reported")
        gap = found.value - best_of_restarts(joint, query)
        share = float((gap <= 0.05).double().mean())
        figures.add(
            f"  share within 0.05 nats of the best of {RESTARTS} restarts", share, f">= {must}", share >= must
        )
        figures.add("  nats above that best, worst", float(gap.max()))
        same = same_bits(joint, query, found, (1, 5, 8, 13))
        figures.add("  same bits alone, in batches and in another order", str(same), "True", same)
        for point in POINTS:
            change = other_threads(model, adata[:N_BY_THREADS], point)
            what = f"  change of log2FoldChange with two threads, point {point}, largest"
            figures.add(what, change, "<= 1e-5", change <= 1e-5)


def other_threads(model, adata, point):
    """Largest change of a log2FoldChange when the matrix products are shared by two threads."""
    changes = []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        normal = model.closest_normal(adata, point=point)
        changes.append(pydgd.differential_expression(adata, normal)["log2FoldChange"].to_numpy())
    torch.set_num_threads(1)
    return float(np.nanmax(np.abs(changes[0] - changes[1])))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    figures = Figures("search", quick)
    add_own_model(figures, quick=quick)
    add_peer_decoder(figures, quick=quick)
    return figures.finish()


if __name__ == "__main__":
    raise SystemExit(main())
