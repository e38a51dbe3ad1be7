# SPDX-License-Identifier: BSD-3-Clause
"""A decoder that bulkdgd 2.0.1 trains in an environment of its own, and its search for representations there.

Training takes a quarter of an hour at the full size, so its files are kept under ``build/``, out of git.
"""

import hashlib
import json
import resource
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from _peer_venv import peer_python, run_peer
from pydgd.core.decoder import Decoder, from_peer_state_dict
from pydgd.core.latent import prior_from_peer
from pydgd.core.model import JointModel

CACHE = Path(__file__).resolve().parents[1] / "build"

# The model of its file model_tgmm.yaml, at the sizes that it is given.
_MODEL = """
import json, sys, time
from pathlib import Path
import numpy as np, pandas as pd, torch
torch.set_num_threads(1)
torch.manual_seed(0)
from bulkdgd.core.model import BulkDGD
folder, shape = Path(sys.argv[1]), json.loads(sys.argv[2])
counts = np.load(sys.argv[3])
genes = [f"ENSG{i:011d}" for i in range(shape["n_genes"])]
(folder / "genes.txt").write_text("\\n".join(genes) + "\\n")
table = pd.DataFrame(counts.astype(float), index=[f"s{i}" for i in range(len(counts))], columns=genes)
files = {"latent": str(folder / "gmm.pth"), "decoder": str(folder / "dec.pth")}
trained = Path(files["decoder"]).exists()
n_components, latent_dim = shape["n_components"], shape["latent_dim"]
hidden = shape["n_units_hidden_layers"]
latent = dict(
    n_components=n_components, covariance_type="tied_spherical", cem=False, init_covariances="empirical",
    init_means="maxdist", init_weights="uniform", n_init=1, random_state=None, reg_covar=1e-6, tol=1e-4,
)
decoder = dict(
    n_units_hidden_layers=hidden, activations=["relu"] * len(hidden), dropout=0.0,
    output_module_name="nb_full_dispersion", output_module_options={"activation": "softplus"},
)
if trained:
    latent["latent_pth_file"], decoder["decoder_pth_file"] = files["latent"], files["decoder"]
model = BulkDGD(
    latent_dim=latent_dim, latent_type="tgmm", genes_txt_file=str(folder / "genes.txt"),
    latent_options=latent, decoder_options=decoder,
)
per_sample = {"norm_type": "n_samples"}
losses = {"loss": {"decoder": per_sample, "latent": per_sample, "total": per_sample}}
"""

# Its recipe training_tgmm.yaml, with fewer epochs, the mixture from half of them on, and no early stop.
_TRAIN = (
    _MODEL
    + """
epochs = shape["epochs"]
cycle = dict(
    lr_scheduler_type="one_cycle",
    lr_scheduler_options=dict(
        max_lr=0.01, pct_start=0.25, anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85,
        max_momentum=0.9, div_factor=25, final_div_factor=1000, three_phase=False,
    ),
)
adamw = dict(optimizer_type="adamw", **cycle)
options = dict(
    n_epochs=epochs, latent_type="tgmm", loss_reduction_type="sum",
    data_loader_options={
        "train": {"batch_size": 256, "shuffle": True}, "test": {"batch_size": 256, "shuffle": False},
    },
    reporting_options={**losses, "metrics": {"latent": ["silhouette_score"]}},
    latent_training_options={
        "fitting": dict(
            first_epoch=epochs // 2, max_iter_final_refit=1000, max_iter_first_epoch=1000,
            max_iter_full_refit=100, max_iter_warm_refit=100, refit_final=True, refit_interval=0,
        ),
        "loss_calculation": {"lambda": 1.0},
    },
    decoder_training_options=dict(
        optimizer_options=dict(lr=0.01, weight_decay=0.01, betas=[0.9, 0.999]), **adamw
    ),
    representations_training_options=dict(
        optimizer_options=dict(lr=0.01, weight_decay=0.0, betas=[0.9, 0.999]), train_noise_type="gaussian",
        train_noise_options=dict(scale=0.1, start=1.0, end=0.01, within_radius_prob=0.95, gain=1.0), **adamw
    ),
)
names, n_test = list(table.index), max(n_components, len(table) // 30)
model.train(
    table, names[:-n_test], names[-n_test:], options, gmm_pth_file=files["latent"],
    dec_pth_file=files["decoder"],
)
print(json.dumps({"epochs": epochs}))
"""
)

# Reads ranges of rows, answers with representations and seconds of the processor; two_opt as its file
# two_opt.yaml writes it (Adam, learning rate 0.01), which the release itself does not read.
PEER_SEARCH = (
    _MODEL
    + """
adam = dict(optimizer_type="adam", optimizer_options=dict(lr=0.01, weight_decay=0.0, betas=[0.5, 0.9]))
options = dict(
    scheme_type="two_opt", latent_type="tgmm", n_rep_per_comp=1, data_loader_options={"batch_size": 8},
    reporting_options=losses,
    scheme_options=dict(
        loss_reduction_type="sum", latent_loss_calculation={"lambda": 1.0},
        optimization_1=dict(epochs=10, **adam), optimization_2=dict(epochs=50, **adam),
    ),
)
answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    first, last = map(int, line.split())
    start = time.process_time()
    found = model.get_representations(table.iloc[first:last], options)[0]
    seconds = time.process_time() - start
    z = found.iloc[:, :latent_dim].to_numpy().tolist()
    print(json.dumps({"seconds": seconds, "z": z}), file=answers, flush=True)
"""
)


@dataclass(frozen=True)
class PeerShape:
    """Sizes of a decoder of bulkdgd and of its training; by default those of the decoder that it ships."""

    n_genes: int = 14_895
    latent_dim: int = 32
    n_components: int = 32
    n_units_hidden_layers: tuple[int, ...] = (500, 8000)
    epochs: int = 40

    def arguments(self, folder: Path, counts: np.ndarray) -> list[str]:
        """What the peer's scripts are called with, for these counts (samples × genes)."""
        table = folder / f"counts-{hashlib.sha256(counts.tobytes()).hexdigest()[:12]}.npy"
        np.save(table, counts)
        return [str(folder), json.dumps(asdict(self)), str(table)]


def trained_by_peer(shape: PeerShape, counts: np.ndarray) -> Path:
    """Folder with ``dec.pth`` and ``gmm.pth``, trained now unless that was done before."""
    key = hashlib.sha256(_TRAIN.encode() + repr(shape).encode() + counts.tobytes()).hexdigest()
    folder = CACHE / f"peer-decoder-{key[:12]}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        peer_python()
        before = _processor_of_children()
        run_peer(_TRAIN, *shape.arguments(folder, counts))
        (folder / "done").write_text(str(_processor_of_children() - before))
    return folder


def training_seconds(folder: Path) -> float:
    """Processor seconds of the training that made a folder, the start of its process included."""
    return float((folder / "done").read_text())


def _processor_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def imported(shape: PeerShape, folder: Path) -> JointModel:
    """Its decoder and mixture as ours; the scaling factor is the mean count, as it has it."""
    options = {"output_dim": shape.n_genes, "activation": "softplus"}
    hidden = shape.n_units_hidden_layers
    decoder = Decoder(shape.latent_dim, hidden, ["relu"] * len(hidden), "nb_full_dispersion", options)
    state = torch.load(folder / "dec.pth", weights_only=True)
    decoder.load_state_dict(from_peer_state_dict(decoder, state))
    prior = prior_from_peer(torch.load(folder / "gmm.pth", weights_only=True))
    genes = [f"ENSG{i:011d}" for i in range(shape.n_genes)]
    return JointModel(genes, decoder, prior, "mean", torch.ones(shape.n_genes)).eval()
