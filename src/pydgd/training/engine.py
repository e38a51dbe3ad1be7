# SPDX-License-Identifier: BSD-3-Clause
"""The training loop: decoder, representations and prior fitted together by maximum a posteriori."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence

import pandas as pd
import torch
from torch import Generator, Tensor

from pydgd.config import TrainingConfig
from pydgd.core.latent import RepresentationLayer
from pydgd.core.model import JointModel
from pydgd.errors import TrainingError
from pydgd.inference.search import SearchOptions, find_representations
from pydgd.training.best import BestState
from pydgd.training.counts import Batch, TrainingCounts, n_batches
from pydgd.training.keeper import Keeper
from pydgd.training.optimisers import Optimisers
from pydgd.training.ranks import ALONE, Ranks
from pydgd.training.result import EpochReport, TrainingResult

_log = logging.getLogger(__name__)

# Iterations of each warm refit of the mixture; it moves little between epochs.
REFIT_ITER = 10
# The look at held-out samples needs their objective to a hundredth of a nat, not a proof of convergence.
LOOK = SearchOptions(n_starts=1, scout_iter=1, max_iter=20, tolerance=1e-2)


def train(
    model: JointModel,
    counts: TrainingCounts,
    representations: RepresentationLayer,
    config: TrainingConfig,
    *,
    held_out: tuple[Tensor, Tensor] | None = None,
    generator: Generator,
    progress: Callable[[EpochReport], None] | None = None,
    keeper: Keeper | None = None,
    ranks: Ranks = ALONE,
) -> TrainingResult:
    """Fit decoder, representations and prior from where they stand, or from where an earlier run stopped.

    Args:
        model: Started model; changed in place.
        counts: Of the training samples.
        representations: Where this process's samples start; changed in place.
        config: Options of the run.
        held_out: Counts and scaling factors of samples that only watch.
        generator: Order of the samples.
        progress: Called after every epoch.
        keeper: Keeps the state of the run on disk, and has that of an earlier one.
        ranks: Processes that train together.

    Returns:
        The model at its last look, or at its best if that was materially better, the representations of all
        samples that go with it, and the history.

    Raises:
        TrainingError: If no batch of an epoch gives finite gradients.
        OutputError: If the state cannot be kept.
    """
    run = Run(model, counts, representations, config, generator, ranks)
    if not (keeper is not None and keeper.restore(run)) and held_out is not None:
        run.best.looked(0, _held_out_nll(model, *held_out, ranks))
    while run.epoch < config.epochs and run.best.looks.n_worse < config.patience:
        for _ in run.steps():
            if keeper is not None:
                keeper.keep_if_due(run)
        train_nll, prior_nll = run.end_epoch()
        looks = held_out is not None and (
            run.epoch % config.validate_every == 0 or run.epoch == config.epochs
        )
        validation_nll = (
            _held_out_nll(model, *held_out, ranks) if held_out is not None and looks else math.nan
        )
        if looks:
            run.best.looked(run.epoch, validation_nll)
        run.report(train_nll, validation_nll, prior_nll)
        if progress is not None:
            progress(run.reports[-1])
    return _result(run)


def _result(run: "Run") -> TrainingResult:
    looks = run.best.looks
    if run.epoch < run.config.epochs:
        _log.info("stopped at epoch %d: looks got worse since epoch %s", run.epoch, looks.best_epoch)
    _check_progress(run.reports, best_epoch=looks.best_epoch)
    run.best.restore()
    history = pd.DataFrame(run.reports).drop(columns="n_epochs")
    kept = len(run.reports) if looks.best_epoch is None else looks.kept_epoch
    counts, z = run.counts, run.representations.z.detach().clone()
    everyone = run.ranks.collected(z, counts.own(run.ranks), n=len(counts.scaling_factors))
    return TrainingResult(run.model, everyone, history, kept, run.config)


def _check_progress(reports: Sequence[EpochReport], *, best_epoch: int | None) -> None:
    """Say so when training did not improve on its start."""
    first, last = reports[0].train_nll, reports[-1].train_nll
    if best_epoch is None and last > first:
        _log.warning(
            "training ended worse than it began, at %.4g nats per count after %.4g; lower learning_rate",
            last,
            first,
        )
    if best_epoch == 0:
        _log.warning(
            "no look at the held-out samples was better than the start, which is kept: too few samples for "
            "this latent_dim, or too high a learning_rate"
        )


class Run:
    """One run and all that its next step depends on, so that it can be put down and taken up again.

    Attributes:
        epoch: Epochs done.
        batch: Batches done of the one that is under way.
        sums: -ln p(x | z), -ln p(z) and samples of these batches.
        n_steps: Steps done.
        n_skipped: Of these, steps without a finite gradient.
        seconds: Taken before this process.
        epoch_state: Of the generator when the epoch began.
    """

    def __init__(
        self,
        model: JointModel,
        counts: TrainingCounts,
        representations: RepresentationLayer,
        config: TrainingConfig,
        generator: Generator,
        ranks: Ranks,
    ) -> None:
        self.model, self.counts, self.representations = model, counts, representations
        self.config, self.generator, self.ranks = config, generator, ranks
        self.n_samples = len(counts.scaling_factors)
        self.optimisers = Optimisers(
            [*model.decoder.parameters(), *model.prior.parameters()],
            representations,
            config,
            n_samples=self.n_samples,
            n_steps=n_batches(self.n_samples, config.batch_size) * config.epochs,
        )
        self.best = BestState(model, representations)
        self.epoch, self.batch, self.n_steps, self.n_skipped = 0, 0, 0, 0
        self.sums = (0.0, 0.0, 0)
        self.reports: list[EpochReport] = []
        self.seconds, self._started = 0.0, time.perf_counter()
        self.epoch_state = generator.get_state()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began, pauses left out."""
        return self.seconds + time.perf_counter() - self._started

    def steps(self) -> Iterator[None]:
        """The rest of an epoch, step by step."""
        self.model.train()
        self.epoch_state = self.generator.get_state() if self.batch == 0 else self.epoch_state
        self.generator.set_state(self.epoch_state)
        for batch in self.counts.batches(
            self.generator, batch_size=self.config.batch_size, skip=self.batch, ranks=self.ranks
        ):
            nll, prior_nll, stepped = self._step(batch)
            if stepped:
                self.sums = (self.sums[0] + nll, self.sums[1] + prior_nll, self.sums[2] + batch.n_samples)
            self.batch += 1
            yield

    def end_epoch(self) -> tuple[float, float]:
        """Refit the prior; the epoch's mean -ln p(x | z) per count and mean -ln p(z) per sample."""
        nll, prior_nll, n_seen = self.sums
        if not n_seen:
            raise TrainingError(
                "no batch of this epoch gave finite gradients, so training cannot go on; lower "
                "learning_rate, or look for extreme counts or samples"
            )
        self.model.prior.update(self.representations.z.detach(), max_iter=REFIT_ITER, shards=self.ranks)
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, (0.0, 0.0, 0)
        return nll / n_seen / self.counts.n_genes, prior_nll / n_seen

    def report(self, train_nll: float, validation_nll: float, prior_nll: float) -> None:
        """Note the epoch that has ended."""
        losses = (train_nll, validation_nll, prior_nll)
        self.reports.append(
            EpochReport(self.epoch, self.config.epochs, *losses, self.n_skipped, self.elapsed)
        )

    def _step(self, batch: Batch) -> tuple[float, float, bool]:
        """Losses summed over the batch of all processes, and whether they were fit to learn from."""
        model, z = self.model, self.optimisers.positions(batch.rows)
        nll = model.decoder.output_module.nll(
            batch.counts, model.decoder(z), batch.scaling_factors, log_factorial=batch.log_factorial
        ).sum()
        prior_nll = -model.prior.log_prob(z).double().sum()
        hyper = model.prior.log_hyperprior() * (len(batch.rows) / self.n_samples)
        self.optimisers.zero_grad()
        torch.autograd.backward((nll + prior_nll - hyper) / batch.n_samples)
        self.ranks.add_gradients(self.optimisers.shared)
        length, own_length = self.optimisers.lengths()
        losses = self.ranks.total(
            torch.tensor([nll.item(), prior_nll.item(), own_length], dtype=torch.float64)
        )
        self.n_steps += 1
        usable = math.isfinite(length) and bool(losses.isfinite().all())
        if usable:
            self.optimisers.step(self.n_steps, length)
        else:
            self.n_skipped += 1
            _log.warning("skipped a batch of %d samples: its loss or gradient is not finite", batch.n_samples)
        return float(losses[0]), float(losses[1]), usable


def _held_out_nll(model: JointModel, counts: Tensor, scaling_factors: Tensor, ranks: Ranks = ALONE) -> float:
    """Mean over held-out counts; each process searches some of the samples."""
    own = torch.as_tensor(ranks.own(len(counts)))
    nll = torch.zeros((), dtype=torch.float64)
    if len(own):
        nll = find_representations(model, counts[own], scaling_factors[own], options=LOOK).nll.double().sum()
    return float(ranks.total(nll)) / len(counts) / counts.shape[1]
