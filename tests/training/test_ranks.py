# SPDX-License-Identifier: BSD-3-Clause
"""Processes that train together end where one alone does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pydgd.config import training_config
from pydgd.core.latent import COVARIANCE_TYPES
from pydgd.errors import TrainingError
from pydgd.training import fit
from pydgd.training.ranks import ALONE, Ranks

WORKER = """
import json
from pathlib import Path
from tempfile import TemporaryDirectory
import numpy as np, torch
from pydgd import DGD
from pydgd.core.latent import COVARIANCE_TYPES, GaussianMixture
from pydgd.data import open_counts, simulate_cohort
from pydgd.training.ranks import process_group

torch.set_num_threads(1)
with process_group() as ranks:
    cohort = simulate_cohort(n_tissues=4, n_per_tissue=30, n_genes=120, seed=0).normals
    losses = {}
    for prior in ("em", "gradient"):
        model = DGD.fit(cohort, latent_dim=5, n_components=4, epochs=4, batch_size=50, prior=prior)
        losses[prior] = model.history[["train_nll", "validation_nll", "prior_nll"]].values.tolist()
        losses[prior + " samples"] = model.record.representations.abs().sum().item()
    # One component; more components than a process has samples, and batches in which it has none.
    for k in (1, 40):
        model = DGD.fit(cohort, latent_dim=5, n_components=k, epochs=2, batch_size=50 if k == 1 else 3)
        losses[f"{k} components"] = model.history["train_nll"].tolist()
    with TemporaryDirectory() as folder:
        cohort.write_h5ad(f"{folder}/counts.h5ad")
        with open_counts(f"{folder}/counts.h5ad") as rows:
            model = DGD.fit(rows, latent_dim=5, n_components=4, epochs=2, batch_size=50)
        everyone = ranks.joined(model.record.model.prior.means).reshape(ranks.size, -1)
        losses["models that differ"] = int((everyone != everyone[0]).any())
    z = torch.randn(300, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z[150:] += 3
    for kind in COVARIANCE_TYPES:
        # A component far from all rows is dead, and comes back to life.
        means = torch.stack([z[0], z[200], torch.full((4,), 1e3, dtype=torch.float64)])
        unit = COVARIANCE_TYPES[kind].identity(3, 4)
        mixture = GaussianMixture.from_parameters(torch.ones(3) / 3, means, unit, covariance_type=kind)
        mixture.update(z[torch.as_tensor(ranks.own(300))], max_iter=50, shards=ranks)
        losses["em " + kind] = [mixture.lower_bound_, mixture.means.abs().sum().item()]
threads = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
losses["threads left behind"] = sum("gloo" in name for name in threads)
if ranks.index == 0:
    print(json.dumps(losses))
"""


def trained(tmp_path: Path, n_ranks: int) -> dict[str, object]:
    """What rank 0 of so many says."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    alone = [sys.executable, str(script)]
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_ranks}"]
    command = alone if n_ranks == 1 else [*together, str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("n_ranks", [2, 4])
def test_losses_are_those_of_one_process(tmp_path: Path, n_ranks: int) -> None:
    """At the same global batch, to 1e-5; the mixture's fit to rounding, whatever its covariance.

    No thread of the group is left: one that is there at the end of Python may abort the process.
    """
    alone, together = trained(tmp_path, 1), trained(tmp_path, n_ranks)
    assert alone.keys() == together.keys()
    for name, losses in alone.items():
        tolerance = 1e-9 if name.removeprefix("em ") in COVARIANCE_TYPES else 1e-5
        np.testing.assert_allclose(together[name], losses, rtol=tolerance, err_msg=name)


def test_alone_everything_is_ones_own() -> None:
    """Sums and joins change nothing, and nobody is waited for."""
    values = torch.arange(6.0).reshape(3, 2)
    assert ALONE.total(values) is values
    assert ALONE.joined(values) is values
    assert ALONE.collected(values, np.arange(3), n=3) is values
    assert ALONE.own(3).tolist() == [0, 1, 2]
    assert [ALONE.agreed(wish=wish) for wish in (True, False)] == [True, False]
    ALONE.wait()
    assert Ranks.current() == ALONE


def test_process_that_lost_another_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no bug, and the other one knows the reason."""

    def gone(*_: object) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr("torch.distributed.all_reduce", gone)
    with pytest.raises(TrainingError, match="another process of this training is gone"):
        Ranks(0, 2).total(torch.ones(1))


def test_more_processes_than_samples_are_refused(monkeypatch: pytest.MonkeyPatch, counts: np.ndarray) -> None:
    """By all of them, before anything is shared."""
    monkeypatch.setattr(Ranks, "current", lambda: Ranks(0, 61))
    with pytest.raises(TrainingError, match="61 processes cannot share 60 training samples; start fewer"):
        fit(
            counts,
            counts.sum(axis=1),
            genes=[f"g{i}" for i in range(counts.shape[1])],
            profile=counts.mean(axis=0),
            config=training_config(),
        )
