# SPDX-License-Identifier: BSD-3-Clause
"""A trained model learns new healthy samples without forgetting the old."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from pydgd.checkpoints import ModelRecord, with_content_hash
from pydgd.checkpoints.versions import versions
from pydgd.config import TrainingConfig, training_config
from pydgd.core.latent import RepresentationLayer
from pydgd.core.model import JointModel
from pydgd.errors import ConfigError, TrainingError
from pydgd.training.counts import CountsInMemory
from pydgd.training.engine import train
from pydgd.training.fit import sized
from pydgd.training.growth import Grown, grown, padded
from pydgd.training.keeper import Checkpoints, Keeper
from pydgd.training.priors import expression_clusters, start_prior
from pydgd.training.recalibration import recalibrated
from pydgd.training.replay import replayed, tensors_of
from pydgd.training.result import EpochReport, TrainingResult
from pydgd.training.samples import Samples
from pydgd.training.validation import split_groups

USUAL = {"epochs": 20, "learning_rate": 0.01}
"""Half the epochs and a third of the pace of a training: the start is a trained model."""

OPTIONS = (*USUAL, "batch_size", "validation", "validation_seed", "group_key", "label_key", "seed")
"""Options of `pydgd.config.TrainingConfig` that mean something here; the others are the model's."""


def fine_tuning_config(record: ModelRecord, **options: object) -> TrainingConfig:
    """Options of a fine-tuning.

    Args:
        record: The model.
        **options: Some of `OPTIONS`.

    Raises:
        ConfigError: If an option is unknown or out of range.
    """
    if unknown := sorted(options.keys() - set(OPTIONS)):
        raise ConfigError(f"unknown option {unknown[0]!r} of a fine-tuning; options are {', '.join(OPTIONS)}")
    prior: Any = record.model.prior
    kept = {"prior": prior.name, "covariance_type": prior.covariance_type, "scaling": record.model.scaling}
    known: dict[str, Any] = {
        name: record.options[name] for name in ("group_key", "label_key") if name in record.options
    }
    return training_config(**{**USUAL, **known, **kept, **options})


def fine_tuned(
    record: ModelRecord,
    new: Samples,
    config: TrainingConfig,
    *,
    replay: Samples | None = None,
    more_dimensions: int | None = None,
    more_components: int | None = None,
    progress: Callable[[EpochReport], None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> ModelRecord:
    """A model that knows new samples as well.

    A decoder without hidden layers gets further latent dimensions along what it cannot express of the new
    samples, and the mixture further components. Then decoder, representations and mixture are trained on the
    new samples and on a replay of the old ones: these themselves where they are given, else, at each old
    sample's representation, the reads that the model expects there. Expected reads have no noise to be
    learnt, so the model's dispersions are kept then.

    Args:
        record: The model; not changed.
        new: Healthy samples to learn.
        config: What `fine_tuning_config` gives.
        replay: Samples that the model was trained on.
        more_dimensions: By default one per 6 new training samples, at most 64.
        more_components: By default one per 20 new training samples, at most 30.
        progress: Called after every epoch.
        checkpoints: Where the state of the run is kept, so that it can be resumed.

    Returns:
        The record with its content hash; its samples are the old ones, then the new.

    Raises:
        ConfigError: If a number to add is below 1.
        CheckpointError: If a kept state is damaged, of another run, or not to be resumed.
        TrainingError: If there are fewer than two new samples to train on.

    Source:
        Shin et al. (2017), NeurIPS 30, for replay from a generator; Li & Hoiem (2018), IEEE TPAMI 40:2935,
        for its expectations in place of draws.
    """
    learnt, watched = _split(new, config)
    again, watched_again = (None, None) if replay is None else _split(replay, config)
    more = _more(config, learnt, more_dimensions=more_dimensions, more_components=more_components)
    names = [() if part is None else part.counts.sample_names for part in (learnt, again)]
    sizes = more.model_dump(mode="json")
    known = {"model": record.content_hash, "samples": names, "sizes": sizes, "versions": versions()}
    keeping = _Keeping(checkpoints, known)
    result = _trained(record, learnt, again, config, more, progress, keeping)
    held_out = [watched] if watched_again is None else [watched_again, watched]
    longer = _record(record, result, learnt, again, n_held_out=sum(len(part.groups) for part in held_out))
    known_again = None if again is None else [again.counts, learnt.counts]
    return with_content_hash(
        recalibrated(longer, training=known_again, held_out=[part.counts for part in held_out])
    )


def _split(samples: Samples, config: TrainingConfig) -> tuple[Samples, Samples]:
    rows, held_out = split_groups(samples.groups, share=config.validation, seed=config.validation_seed)
    return samples.taken(rows), samples.taken(held_out)


def _more(config: TrainingConfig, new: Samples, **asked: int | None) -> TrainingConfig:
    """Dimensions and components to add, as `latent_dim` and `n_components`."""
    if len(new.groups) < 2:
        raise TrainingError(f"fine-tuning needs at least 2 new samples to learn from, got {len(new.groups)}")
    for name, number in asked.items():
        if number is not None and number < 1:
            raise ConfigError(f"{name} must be at least 1, got {number}")
    shape = {"latent_dim": asked["more_dimensions"], "n_components": asked["more_components"]}
    return sized(config.model_copy(update=shape), n_samples=len(new.groups))


def _record(
    before: ModelRecord, result: TrainingResult, new: Samples, replay: Samples | None, *, n_held_out: int
) -> ModelRecord:
    """What is kept: calibration and reference are still those of the model before."""
    old_names, old_labels = _known_samples(before, replay)
    note = {"n_samples": len(new.groups), "from_sha256": before.content_hash, "replay": replay is not None}
    facts = {
        "n_training_samples": len(old_names) + len(new.groups),
        "n_held_out_samples": n_held_out + _held_out_before(before, replay),
        "best_epoch": result.best_epoch,
        "versions": versions(),
        "fine_tuned": [*before.provenance.get("fine_tuned", []), note],
    }
    return replace(
        before,
        model=result.model.eval(),
        representations=result.representations,
        sample_names=(*old_names, *new.counts.sample_names),
        labels=_joined(old_labels, len(old_names), new),
        history=result.history,
        options={**before.options, **_sizes(result)},
        provenance={**before.provenance, **facts},
    )


def _trained(
    record: ModelRecord,
    new: Samples,
    replay: Samples | None,
    config: TrainingConfig,
    more: TrainingConfig,
    progress: Callable[[EpochReport], None] | None,
    keeping: "_Keeping",
) -> TrainingResult:
    assert more.latent_dim is not None
    assert more.n_components is not None
    generator = torch.Generator().manual_seed(config.seed)
    x, s = tensors_of(record.model, new.counts)
    room = grown(record.model, x, s, n_more=more.latent_dim)
    old_x, old_s, old_z = replayed(record, replay, depth=s.median())
    clusters = _own_clusters(record.model, old_z), _new_clusters(room, more.n_components)
    z = torch.cat([padded(old_z, room.n_more), room.z])
    model = _started(record.model, room, z, clusters, config, generator)
    _freeze_dispersion(model, frozen=replay is None)
    counts = CountsInMemory(torch.cat([old_x, x]), torch.cat([old_s, s]))
    with keeping.keeper(config, counts) as keeper, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        # No look at held-out samples: the start is good, and which epoch looks best after it is chance.
        return train(
            model,
            counts,
            RepresentationLayer.from_values(z),
            config,
            generator=generator,
            progress=progress,
            keeper=keeper,
        )


class _Keeping(NamedTuple):
    """Where the state of a run is kept, and what decides the run."""

    checkpoints: Checkpoints | None
    facts: Mapping[str, Any]

    def keeper(self, config: TrainingConfig, counts: CountsInMemory) -> AbstractContextManager[Keeper | None]:
        if self.checkpoints is None:
            return nullcontext()
        content = counts.scaling_factors.numpy().tobytes() + counts.counts.mean(dim=0).numpy().tobytes()
        known = {"options": config.model_dump(mode="json"), "counts": content, **self.facts}
        return Keeper.opened(self.checkpoints, known)


def _started(
    model: JointModel,
    room: Grown,
    z: Tensor,
    clusters: tuple[Tensor, Tensor],
    config: TrainingConfig,
    generator: Generator,
) -> JointModel:
    """The model before its first epoch: the old components first, then those of the new samples."""
    old, new = clusters
    every = torch.cat([old, old.max() + 1 + new])
    prior = start_prior(
        config,
        z,
        torch.ones(z.shape[1]),
        n_components=int(every.max()) + 1,
        generator=generator,
        clusters=every,
    )
    room.decoder.requires_grad_(requires_grad=True)
    return JointModel(model.genes, room.decoder, prior, model.scaling, model.profile)


def _own_clusters(model: JointModel, z: Tensor) -> Tensor:
    """The component of each old sample; one that no sample belongs to is left behind."""
    _, numbers = torch.unique(model.prior.responsibilities(z).argmax(dim=1), return_inverse=True)
    return torch.as_tensor(numbers)


def _new_clusters(room: Grown, n_components: int) -> Tensor:
    """Clusters of new samples that express alike."""
    weight = room.decoder.output_module.layer_means.weight.detach()
    # How much a dimension moves the expression is known where the means are linear in it.
    moves = weight.norm(dim=0) if weight.shape[1] == room.z.shape[1] else torch.ones(room.z.shape[1])
    found = expression_clusters(room.z, moves, n_components)
    return torch.zeros(len(room.z), dtype=torch.long) if found is None else found


def _freeze_dispersion(model: JointModel, *, frozen: bool) -> None:
    """What says r is kept where the replay has no noise to learn it from."""
    for name, parameter in model.decoder.output_module.named_parameters():
        if "log_r" in name:
            parameter.requires_grad_(not frozen)


def _held_out_before(record: ModelRecord, replay: Samples | None) -> int:
    """Samples held out by the first training whose reference is kept."""
    return 0 if replay is not None else int(record.provenance.get("n_held_out_samples", 0))


def _known_samples(
    record: ModelRecord, replay: Samples | None
) -> tuple[tuple[str, ...], Sequence[str] | None]:
    if replay is None:
        return record.sample_names, record.labels
    return replay.counts.sample_names, replay.labels


def _joined(old: Sequence[str] | None, n_old: int, new: Samples) -> tuple[str, ...] | None:
    """Labels of all samples; ``unknown`` where one side has none."""
    if old is None and new.labels is None:
        return None
    return (*(old or ["unknown"] * n_old), *(new.labels or ["unknown"] * len(new.groups)))


def _sizes(result: TrainingResult) -> dict[str, Any]:
    model = result.model
    return {"latent_dim": model.decoder.latent_dim, "n_components": model.prior.n_components}
