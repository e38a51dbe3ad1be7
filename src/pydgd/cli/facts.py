# SPDX-License-Identifier: BSD-3-Clause
"""What is in a model, for people. Heavy: commands import it when they run."""

import math

from pydgd.cli.fit_flags import limits_in_words
from pydgd.dgd import DGD

_N_GENES_SHOWN = 4


def model_facts(model: DGD) -> dict[str, str]:
    """Names and values, the most telling first.

    Args:
        model: A trained model.
    """
    facts, options = model.provenance, model.provenance["options"]
    more = ", …" if len(model.genes) > _N_GENES_SHOWN else ""
    hidden = ", ".join(map(str, options["n_units_hidden_layers"])) or "none (linear)"
    counts = [] if model.labels is None else model.labels.value_counts().items()
    return {
        "samples": f"{facts['n_training_samples']:,} trained on, {facts['n_held_out_samples']:,} held out",
        "labels": ", ".join(f"{label} {count:,}" for label, count in counts) or "none",
        "genes": f"{len(model.genes):,}: {', '.join(model.genes[:_N_GENES_SHOWN])}{more}",
        "decoder": f"{options['latent_dim']} latent dimensions, hidden layers: {hidden}",
        "counts": options["output_module"],
        "prior": f"{options['prior']}, {options['n_components']} components",
        "scaling": options["scaling"],
        "fit": fit_in_words(model),
        "no close normal": limits_in_words(model),
        "training": training_in_words(model),
        "versions": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        "sha256": facts["sha256"],
    }


def training_in_words(model: DGD) -> str:
    """How it was trained, and by what if not by PyDGD.

    Args:
        model: A trained model.
    """
    if "imported_from" in model.provenance:
        return f"by {model.provenance['imported_from']}, imported"
    return f"{len(model.history)} epochs, seed {model.provenance['options']['seed']}"


def fit_in_words(model: DGD) -> str:
    """How well the epoch that was kept fits.

    Args:
        model: A trained model.
    """
    if "imported_from" in model.provenance:
        return "not told by the files that were imported"
    best = model.provenance["best_epoch"]
    if best == 0:
        return "the start was kept: no epoch was better on the held-out samples"
    kept = model.history[model.history["epoch"] == best].iloc[0]
    held_out = float(kept["validation_nll"])
    watched = "" if math.isnan(held_out) else f", held-out {held_out:.3f}"
    return f"epoch {best} kept: train {kept['train_nll']:.3f}{watched} nats per count"
