# SPDX-License-Identifier: BSD-3-Clause
"""The options of `pydgd.config.TrainingConfig` as the command line shows them.

Written out, because reading them off the model would import pydantic for every ``--help``; a test holds the
two together. What is not allowed is said by `TrainingConfig`.
"""

from typing import Annotated

import typer

from pydgd.cli.common import Choice


def _choice(kind: type, name: str, default: object, says: str, panel: str) -> Choice:
    option = typer.Option(name, help=says, rich_help_panel=panel, show_default=default is not None)
    return Choice(Annotated[kind if default is not None else kind | None, option], default)


Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on from the last kept state of a training that was interrupted; the model is the same to "
        "the bit. Without one, begin.",
    ),
]
CheckpointEvery = Annotated[
    float,
    typer.Option(
        "--checkpoint-every",
        metavar="MINUTES",
        min=0.0,
        help="Keep the state of the run so often, in a folder beside the model, of its name and .checkpoint, "
        "that goes once the model is written; 0: never.",
    ),
]

_MODEL, _RUN, _LABELS = "The model", "The training", "Labels of the samples"

TRAINING_OPTIONS = {
    "latent_dim": _choice(
        int,
        "--latent-dim",
        None,
        "Latent dimensions; by default one per 6 samples, at most 64.",
        _MODEL,
    ),
    "n_components": _choice(
        int,
        "--components",
        None,
        "Components of the latent mixture; by default one per 20 samples, at most 30.",
        _MODEL,
    ),
    "prior": _choice(str, "--prior", "em", "Mixture: em or gradient (trained with the decoder).", _MODEL),
    "covariance_type": _choice(
        str,
        "--covariance-type",
        None,
        "Covariance of the components; by default tied (em) or diagonal (gradient).",
        _MODEL,
    ),
    "n_units_hidden_layers": _choice(
        str, "--hidden-layers", "", "Widths of the decoder's hidden layers, e.g. 64,256; empty: none.", _MODEL
    ),
    "activations": _choice(
        str, "--activations", "elu", "Activation of the hidden layers: one name, or one for each.", _MODEL
    ),
    "output_module": _choice(
        str,
        "--output-module",
        "nb_feature_dispersion",
        "Counts: nb_feature_dispersion, nb_full_dispersion or poisson.",
        _MODEL,
    ),
    "output_activation": _choice(
        str, "--output-activation", "softplus", "Activation of the means: softplus or sigmoid.", _MODEL
    ),
    "scaling": _choice(str, "--scaling", "total", "Scaling factors: total, mean or median.", _MODEL),
    "min_detected": _choice(
        float,
        "--min-detected",
        0.2,
        "Model genes that more than this share of the samples has reads of.",
        _MODEL,
    ),
    "epochs": _choice(int, "--epochs", 40, "Passes over the samples.", _RUN),
    "batch_size": _choice(int, "--batch-size", 128, "Samples per step.", _RUN),
    "learning_rate": _choice(float, "--learning-rate", 0.03, "Peak of the schedule.", _RUN),
    "schedule": _choice(
        str, "--schedule", "one_cycle", "Learning rate over time: one_cycle, cosine or constant.", _RUN
    ),
    "dropout": _choice(float, "--dropout", 0.0, "Share of hidden units silenced in training.", _RUN),
    "validation": _choice(
        float, "--validation", 0.1, "Share of the samples held out to watch the likelihood; 0: none.", _RUN
    ),
    "validation_seed": _choice(
        int, "--validation-seed", 0, "Another number holds out others; --seed does not.", _RUN
    ),
    "validate_every": _choice(int, "--validate-every", 5, "Epochs between two looks at them.", _RUN),
    "patience": _choice(int, "--patience", 3, "Looks in a row that are worse before training stops.", _RUN),
    "group_key": _choice(
        str, "--group-key", None, "Column of obs whose groups are held out whole; by default donor.", _LABELS
    ),
    "label_key": _choice(
        str, "--label-key", None, "Column of obs that describes the samples; by default tissue.", _LABELS
    ),
}


def to_config(training: dict[str, object], *, seed: int) -> dict[str, object]:
    """Options as `TrainingConfig` takes them, from what the command line gave.

    Args:
        training: Values of `TRAINING_OPTIONS`.
        seed: Decides every random choice.

    Returns:
        Fields of `TrainingConfig`; lists come as text with commas.

    Example:
        >>> to_config({"n_units_hidden_layers": "64,256", "activations": "elu"}, seed=0)
        {'n_units_hidden_layers': ('64', '256'), 'activations': 'elu', 'seed': 0}
    """
    options = {**training, "seed": seed}
    options["n_units_hidden_layers"] = _split(str(training["n_units_hidden_layers"]))
    activations = _split(str(training["activations"]))
    options["activations"] = activations[0] if len(activations) == 1 else activations
    return options


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
