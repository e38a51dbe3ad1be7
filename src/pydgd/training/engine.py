# SPDX-License-Identifier: BSD-3-Clause
"""The training loop: decoder, representations and prior fitted together by maximum a posteriori."""

import copy
import logging
import math
import time
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from pydgd.config import TrainingConfig
from pydgd.core.distributions import log_factorial
from pydgd.core.latent import RepresentationLayer
from pydgd.core.model import JointModel
from pydgd.errors import TrainingError
from pydgd.inference.search import SearchOptions, find_representations
from pydgd.training.result import EpochReport, TrainingResult
from pydgd.training.schedule import SCHEDULES

_log = logging.getLogger(__name__)

# Iterations of each warm refit of the mixture; it moves little between epochs.
REFIT_ITER = 10
# A step whose gradient is this many times longer than its running mean is shortened to that length.
LONGEST_GRADIENT = 10.0
MATERIAL = 0.05
"""Share of what training gained that is too little to go back for.

Between half of the schedule and its end, looks differ by 1 or 2 % of the gain on GTEx and TCGA normals, and
which of them is best is chance; models are more alike at the end: three times nearer in ln mu."""
# The look at held-out samples needs their objective to a hundredth of a nat, not a proof of convergence.
LOOK = SearchOptions(n_starts=1, scout_iter=1, max_iter=20, tolerance=1e-2)


def train(
    model: JointModel,
    counts: Float[Tensor, "n genes"],
    scaling_factors: Float[Tensor, " n"],
    representations: RepresentationLayer,
    config: TrainingConfig,
    *,
    held_out: tuple[Tensor, Tensor] | None = None,
    generator: Generator,
    progress: Callable[[EpochReport], None] | None = None,
) -> TrainingResult:
    """Fit decoder, representations and prior from where they stand.

    Args:
        model: Started model; changed in place.
        counts: Reads of the training samples, (N, G).
        scaling_factors: One per sample, (N,).
        representations: Where the samples start; changed in place.
        config: Options of the run.
        held_out: Counts and scaling factors of samples that only watch.
        generator: Order of the samples.
        progress: Called after every epoch.

    Returns:
        The model at its last look, or at its best if that was materially better, the representations that go
        with it, and the history.

    Raises:
        TrainingError: If no batch of an epoch gives finite gradients.
    """
    run = _Run(model, counts, scaling_factors, representations, config)
    best = _Best(model, representations)
    reports: list[EpochReport] = []
    started = time.perf_counter()
    if held_out is not None:
        best.looked(0, _held_out_nll(model, *held_out))
    for epoch in range(1, config.epochs + 1):
        train_nll, prior_nll = run.epoch(generator)
        model.prior.update(representations.z.detach(), max_iter=REFIT_ITER)
        looks = held_out is not None and (epoch % config.validate_every == 0 or epoch == config.epochs)
        validation_nll = _held_out_nll(model, *held_out) if held_out is not None and looks else math.nan
        seconds = time.perf_counter() - started
        report = EpochReport(
            epoch, config.epochs, train_nll, validation_nll, prior_nll, run.n_skipped, seconds
        )
        reports.append(report)
        if progress is not None:
            progress(report)
        if looks and best.looked(epoch, validation_nll) >= config.patience:
            _log.info("stopped at epoch %d: looks got worse since epoch %s", epoch, best.epoch)
            break
    _check_progress(reports, best_epoch=best.epoch)
    best.restore()
    history = pd.DataFrame(reports).drop(columns="n_epochs")
    kept = len(reports) if best.epoch is None else best.kept_epoch
    return TrainingResult(model, representations.z.detach().clone(), history, kept, config)


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


class _Run:
    """Optimisers and constants of one run."""

    def __init__(
        self,
        model: JointModel,
        counts: Tensor,
        scaling_factors: Tensor,
        representations: RepresentationLayer,
        config: TrainingConfig,
    ) -> None:
        self.model, self.counts, self.scaling_factors = model, counts, scaling_factors
        self.representations, self.config = representations, config
        self.log_factorial = log_factorial(counts).sum(dim=1)
        self.n_batches = math.ceil(len(counts) / config.batch_size)
        shared = [*model.decoder.parameters(), *model.prior.parameters()]
        betas = (0.9, 0.99)
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Adam(shared, betas=betas),
            torch.optim.Adam(representations.parameters(), betas=betas),
        ]
        self.shared, self.n_skipped, self._steps, self._usual_length = shared, 0, 0, math.nan

    def epoch(self, generator: Generator) -> tuple[float, float]:
        """One pass; the mean -ln p(x | z) per count and the mean -ln p(z) per sample."""
        self.model.train()
        nll, prior_nll, n_seen = 0.0, 0.0, 0
        for rows in self._batches(generator):
            one_nll, one_prior, stepped = self._step(rows)
            if stepped:
                nll, prior_nll, n_seen = nll + one_nll, prior_nll + one_prior, n_seen + len(rows)
        if not n_seen:
            raise TrainingError(
                "no batch of this epoch gave finite gradients, so training cannot go on; lower "
                "learning_rate, or look for extreme counts or samples"
            )
        return nll / n_seen / self.counts.shape[1], prior_nll / n_seen

    def _batches(self, generator: Generator) -> Sequence[Tensor]:
        order = torch.randperm(len(self.counts), generator=generator)
        # Batches of equal size: a full step on a last batch of one or two samples throws the decoder off.
        return torch.tensor_split(order, self.n_batches)

    def _step(self, rows: Tensor) -> tuple[float, float, bool]:
        """Losses summed over the rows, and whether they were fit to learn from."""
        model, z = self.model, self.representations(rows)
        nll = model.decoder.output_module.nll(
            self.counts[rows],
            model.decoder(z),
            self.scaling_factors[rows],
            log_factorial=self.log_factorial[rows],
        ).sum()
        prior_nll = -model.prior.log_prob(z).double().sum()
        hyper = model.prior.log_hyperprior() * (len(rows) / len(self.counts))
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward((nll + prior_nll - hyper) / len(rows))
        losses = nll.item(), prior_nll.item()
        lengths = _gradient_length(self.shared), _gradient_length([self.representations.z])
        self._steps += 1
        usable = all(map(math.isfinite, losses + lengths))
        if usable:
            self._update(lengths[0])
        else:
            self.n_skipped += 1
            _log.warning("skipped a batch of %d samples: its loss or gradient is not finite", len(rows))
        return *losses, usable

    def _update(self, length: float) -> None:
        self._shorten_gradient(length)
        self._set_learning_rate()
        for optimiser in self.optimisers:
            optimiser.step()

    def _shorten_gradient(self, length: float) -> None:
        """Cut relative to the gradient's usual length, which depends on genes, depth and stage."""
        if math.isnan(self._usual_length):
            self._usual_length = length
        limit = LONGEST_GRADIENT * self._usual_length
        if length > limit:
            for parameter in self.shared:
                if parameter.grad is not None:
                    parameter.grad.mul_(limit / length)
        self._usual_length = 0.9 * self._usual_length + 0.1 * min(length, limit)

    def _set_learning_rate(self) -> None:
        done = self._steps / (self.n_batches * self.config.epochs)
        rate = self.config.learning_rate * SCHEDULES[self.config.schedule](min(done, 1.0))
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate


def _gradient_length(parameters: Sequence[Tensor]) -> float:
    """Euclidean length over all entries; not finite if one of them is not, or if it exceeds float32."""
    lengths = [p.grad.norm() for p in parameters if p.grad is not None]
    return float(torch.stack(lengths).norm())


class _Best:
    """The best state seen, by the held-out look; the last state stays if it is as good, or without looks."""

    def __init__(self, model: JointModel, representations: RepresentationLayer) -> None:
        self._parts: tuple[nn.Module, ...] = (model, representations)
        self._states: list[dict[str, Tensor]] | None = None
        self.epoch: int | None = None
        self.kept_epoch = 0
        self._nll, self._first, self._looks_since = math.inf, math.nan, 0

    def looked(self, epoch: int, validation_nll: float) -> int:
        """Take note of a look; returns how many looks in a row were materially worse than the best one."""
        if epoch == 0:
            self._first = validation_nll
        if validation_nll < self._nll:
            self.epoch, self._nll = epoch, validation_nll
            self._states = [copy.deepcopy(part.state_dict()) for part in self._parts]
        as_good = self.epoch == epoch or (
            self.epoch != 0 and validation_nll - self._nll <= MATERIAL * (self._first - self._nll)
        )
        self._looks_since = 0 if as_good or epoch == 0 else self._looks_since + 1
        self.kept_epoch = epoch if as_good or self.epoch is None else self.epoch
        return self._looks_since

    def restore(self) -> None:
        """Put the best state back, unless the last one is as good."""
        if self._states is not None and self.kept_epoch == self.epoch:
            for part, state in zip(self._parts, self._states, strict=True):
                part.load_state_dict(state)


def _held_out_nll(model: JointModel, counts: Tensor, scaling_factors: Tensor) -> float:
    found = find_representations(model, counts, scaling_factors, options=LOOK)
    return float(found.nll.mean()) / counts.shape[1]
