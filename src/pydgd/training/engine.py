# SPDX-License-Identifier: BSD-3-Clause
"""The training loop: decoder, representations and prior fitted together by maximum a posteriori."""

import copy
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
from pydgd.training.gradients import add_gradients, shards_of
from pydgd.training.hardware import PROCESSOR, Hardware
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
    hardware: Hardware | None = None,
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
        hardware: What computes the steps; the processor by default.

    Returns:
        The model at its last look, or at its best if that was materially better, the representations of all
        samples that go with it, and the history.

    Raises:
        TrainingError: If no batch of an epoch gives finite gradients.
        OutputError: If the state cannot be kept.
    """
    run = Run(model, counts, representations, config, generator, ranks, hardware or Hardware())
    look = None if held_out is None else Look(run, *held_out)
    if not (keeper is not None and keeper.restore(run)) and look is not None:
        run.best.looked(0, look.nll())
    while run.epoch < config.epochs and run.best.looks.n_worse < config.patience:
        for _ in run.steps():
            if keeper is not None:
                keeper.keep_if_due(run)
        train_nll, prior_nll = run.end_epoch()
        validation_nll = math.nan
        if look is not None and (run.epoch % config.validate_every == 0 or run.epoch == config.epochs):
            validation_nll = look.nll()
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
    run.model.to(PROCESSOR)
    z = run.representations.z.detach().cpu().clone()
    everyone = run.ranks.collected(z, run.ranks.own(run.n_samples), n=run.n_samples)
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
        sums: -ln p(x | z) and -ln p(z) of this process's samples in these batches, and samples of all.
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
        hardware: Hardware,
    ) -> None:
        hardware.place(model, representations)
        self.model, self.counts, self.representations = model, counts, representations
        self.config, self.generator, self.ranks, self.hardware = config, generator, ranks, hardware
        self.n_samples = len(counts.scaling_factors)
        self.optimisers = Optimisers(
            [*model.decoder.parameters(), *model.prior.parameters()],
            representations,
            config,
            n_samples=self.n_samples,
            n_steps=n_batches(self.n_samples, config.batch_size) * config.epochs,
        )
        self.shards = shards_of(ranks, self.optimisers.shared)
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
        batches = self.counts.batches(
            self.generator, batch_size=self.config.batch_size, skip=self.batch, ranks=self.ranks
        )
        for batch in self.hardware.sent(batches):
            with self.hardware.products():
                nll, prior_nll, stepped = self._step(batch)
            if stepped:
                self.sums = (self.sums[0] + nll, self.sums[1] + prior_nll, self.sums[2] + batch.n_samples)
            self.batch += 1
            yield

    def end_epoch(self) -> tuple[float, float]:
        """Refit the prior; the epoch's mean -ln p(x | z) per count and mean -ln p(z) per sample."""
        n_seen = self.sums[2]
        if not n_seen:
            raise TrainingError(
                "no batch of this epoch gave finite gradients, so training cannot go on; lower "
                "learning_rate, or look for extreme counts or samples"
            )
        self.model.prior.update(self.representations.z.detach(), max_iter=REFIT_ITER, shards=self.shards)
        nll, prior_nll = self.ranks.total(torch.tensor(self.sums[:2], dtype=torch.float64)).tolist()
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, (0.0, 0.0, 0)
        return nll / n_seen / self.counts.n_genes, prior_nll / n_seen

    def report(self, train_nll: float, validation_nll: float, prior_nll: float) -> None:
        """Note the epoch that has ended."""
        losses = (train_nll, validation_nll, prior_nll)
        self.reports.append(
            EpochReport(self.epoch, self.config.epochs, *losses, self.n_skipped, self.elapsed)
        )

    def _step(self, batch: Batch) -> tuple[float, float, bool]:
        """Losses summed over this process's samples, and whether those of all were fit to learn from."""
        model, z = self.model, self.optimisers.positions(batch.rows)
        outputs = self.hardware.decode(model.decoder, z)
        nll = model.decoder.output_module.nll(
            batch.counts, outputs, batch.scaling_factors, log_factorial=batch.log_factorial
        ).sum()
        prior_nll = -model.prior.log_prob(z).double().sum()
        hyper = model.prior.log_hyperprior() * (len(batch.rows) / self.n_samples)
        self.optimisers.zero_grad()
        torch.autograd.backward((nll + prior_nll - hyper) / batch.n_samples)
        own = nll.item(), prior_nll.item()
        healthy = all(map(math.isfinite, (*own, self.optimisers.own_length())))
        usable = healthy
        if self.ranks.size > 1:
            usable = add_gradients(self.optimisers.shared, self.shards, healthy=healthy)
        length = self.optimisers.shared_length()
        self.n_steps += 1
        usable = usable and math.isfinite(length)
        if usable:
            self.optimisers.step(self.n_steps, length)
        else:
            self.n_skipped += 1
            _log.warning("skipped a batch of %d samples: its loss or gradient is not finite", batch.n_samples)
        return *own, usable


class Look:
    """What held-out samples say of a run; each process searches some of them.

    Attributes:
        run: Looked at.

    Args:
        run: Likewise.
        counts: Reads of the samples.
        scaling_factors: Theirs.
    """

    def __init__(self, run: Run, counts: Tensor, scaling_factors: Tensor) -> None:
        own = torch.as_tensor(run.ranks.own(len(counts)))
        self.run, self._shape = run, counts.shape
        self._counts, self._factors = (x[own].to(run.hardware.exact) for x in (counts, scaling_factors))

    def nll(self) -> float:
        """Mean over their counts at their most probable representations, nats."""
        model, hardware = self.run.model, self.run.hardware
        if hardware.device != hardware.exact:
            model = copy.deepcopy(model).to(hardware.exact)
        nll = torch.zeros((), dtype=torch.float64)
        if len(self._counts):
            nll = find_representations(model, self._counts, self._factors, options=LOOK).nll.double().sum()
        n_samples, n_genes = self._shape
        return float(self.run.ranks.total(nll.cpu())) / n_samples / n_genes
