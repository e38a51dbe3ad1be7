# SPDX-License-Identifier: BSD-3-Clause
"""The choice of a model's capacity by the likelihood of genes that the representation did not see."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy.typing import NDArray

from pydgd.config import TrainingConfig
from pydgd.data import AlignedCounts, scaling_factors, typical_profile
from pydgd.errors import TrainingError
from pydgd.training.candidates import Candidate, candidates
from pydgd.training.fit import fit
from pydgd.training.unseen import unseen_nll
from pydgd.training.validation import split_groups

_log = logging.getLogger(__name__)

HELD_OUT = 0.2
"""Share of the samples, whole groups, that are scored; half of it is what a training holds out."""

KEPT = 3
"""One in so many goes on to the next round: Jamieson and Talwalkar's eta, by their default."""


class Round(NamedTuple):
    """What one round of the search spends on a candidate.

    Attributes:
        epochs: Share of the configured epochs.
        n_genes: Most genes, drawn at random; those of a round are among those of the next.
    """

    epochs: float
    n_genes: float


# Fewer epochs keep the order of candidates; much fewer genes do not: what z reads off 750 genes bears 32
# dimensions where 2,250 bear 64 (docs/capacity.md).
ROUNDS = (Round(0.25, 5_000), Round(0.5, 10_000), Round(1.0, np.inf))


@dataclass(frozen=True, eq=False)
class CapacitySearch:
    """What a search tried and found.

    Attributes:
        table: One row per candidate, the best first: its shape (`head`, `latent_dim`, `n_components`), how
            far it came (`round`, from 1, with `epochs` and `genes`), `nll` there (nats per count of unseen
            genes in held-out samples), by how much that is `behind` the best of the same round with its
            standard error `behind_se` over groups of samples, `seconds` spent, and whether it is the
            `default` rule's.
        options: Options of `DGD.fit` that make the best.
    """

    table: pd.DataFrame
    options: dict[str, Any]


class _Trial(NamedTuple):
    """A candidate in a round (from 0): epochs and genes it had, nats of each sample, seconds so far."""

    candidate: Candidate
    round: int
    epochs: int
    n_genes: int
    nll: Float[np.ndarray, " n"]
    seconds: float


def search_capacity(
    counts: AlignedCounts,
    groups: Sequence[str],
    config: TrainingConfig,
    *,
    heads: Iterable[str] | None = None,
    latent_dims: Iterable[int] | None = None,
    n_components: Iterable[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CapacitySearch:
    """Find the latent size, head and number of components that foretell held-out samples best.

    A fifth of the samples, whole groups, is held out. Heads and latent sizes go through successive halving:
    all of them are trained for few epochs on some of the genes, each head's best third for more, and each
    head's best in full. Numbers of components, which matter least, are tried with the winner alone. Nothing
    is drawn but by `config.seed`.

    Args:
        counts: Healthy samples.
        groups: Group (donor) of each.
        config: Options of the run; latent size, components and hidden layers that it gives are not varied.
        heads: Keys of `pydgd.training.candidates.HEADS`; all by default.
        latent_dims: By default steps around the default rule, up to one per 4 samples.
        n_components: By default steps around the default rule.
        progress: Called with trainings done and in all.

    Returns:
        The table, and the options that make the best candidate.

    Raises:
        ConfigError: If a head is unknown or a number of the wrong size.
        TrainingError: If there are fewer than ten groups, or no candidate could be trained.

    Source:
        Jamieson & Talwalkar (2016), AISTATS, PMLR 51:240, for successive halving.
    """
    train, held_out = split_groups(groups, share=HELD_OUT, seed=config.validation_seed)
    if not held_out.size:
        raise TrainingError(
            f"a search scores samples of other donors than it trains on and needs at least ten groups of "
            f"samples, got {len(set(groups))}; train without the search, or name another group_key"
        )
    space = candidates(
        config, n_samples=train.size, heads=heads, latent_dims=latent_dims, n_components=n_components
    )
    n_planned = _n_trainings(space.shapes, space.n_components)
    trials = _Trials(counts, train, held_out, config, progress, n_planned)
    ranked = _halve(trials, space.shapes)
    best = ranked[0].candidate
    others = [best._replace(n_components=k) for k in space.n_components if k != best.n_components]
    last = ranked[0].round
    finals = [trial for trial in ranked if trial.round == last] + [trials.run(one, last) for one in others]
    ranked = sorted(finals, key=_mean) + [trial for trial in ranked if trial.round < last]
    if not np.isfinite(_mean(ranked[0])):
        raise TrainingError("no candidate of the search could be trained; lower learning_rate")
    owners = np.unique(np.asarray(groups)[held_out], return_inverse=True)[1]
    table = _table(ranked, trials.best, space.rule, owners)
    return CapacitySearch(table, ranked[0].candidate.options(config))


def _n_trainings(shapes: Sequence[Candidate], n_components: Sequence[int]) -> int:
    counted, left = 0, list(Counter(one.head for one in shapes).values())
    for _ in ROUNDS:
        counted, left = counted + sum(left), [-(-number // KEPT) for number in left]
    return counted + len(n_components) - 1


def _halve(trials: "_Trials", shapes: Sequence[Candidate]) -> list[_Trial]:
    """All candidates at their last round, those that came farther and did better first.

    Heads meet in the last round only: one with hidden layers learns more slowly, and few epochs do not do it
    justice.
    """
    running, ranked = list(shapes), list[_Trial]()
    for round_ in range(len(ROUNDS)):
        done = sorted((trials.run(one, round_) for one in running), key=_mean)
        running = [trial.candidate for trial in _kept(done)] if round_ + 1 < len(ROUNDS) else []
        ranked = [trial for trial in done if trial.candidate not in running] + ranked
    return ranked


def _kept(done: Sequence[_Trial]) -> list[_Trial]:
    """The best third of each head, of trials that are sorted."""
    kept: list[_Trial] = []
    for head in dict.fromkeys(trial.candidate.head for trial in done):
        own = [trial for trial in done if trial.candidate.head == head]
        kept += own[: -(-len(own) // KEPT)]
    return kept


def _mean(trial: _Trial) -> float:
    return float(trial.nll.mean())


class _Trials:
    """Trains and scores candidates, all on the same samples, genes and draws."""

    def __init__(
        self,
        counts: AlignedCounts,
        train: NDArray[np.intp],
        held_out: NDArray[np.intp],
        config: TrainingConfig,
        progress: Callable[[int, int], None] | None,
        n_planned: int,
    ) -> None:
        self._counts, self._train, self._held_out = counts, train, held_out
        self._config = config.model_copy(update={"validation": 0.0})
        self._order = np.random.default_rng(config.seed).permutation(len(counts.genes))
        self._progress, self._n_planned, self._n_done = progress, n_planned, 0
        self._spent: dict[Candidate, float] = {}
        self.best: dict[int, _Trial] = {}

    def run(self, candidate: Candidate, round_: int) -> _Trial:
        """Train and score a candidate with what a round spends."""
        start = time.perf_counter()
        epochs = max(1, round(ROUNDS[round_].epochs * self._config.epochs))
        genes = np.sort(self._order[: int(min(ROUNDS[round_].n_genes, self._order.size))])
        try:
            nll = self._score(candidate, epochs, genes)
        except TrainingError as error:
            _log.warning("the search goes on without %s: %s", candidate, error)
            nll = np.full(self._held_out.size, np.inf)
        seconds = self._spent.get(candidate, 0.0) + time.perf_counter() - start
        self._spent[candidate] = seconds
        self._n_done += 1
        trial = _Trial(candidate, round_, epochs, genes.size, nll, seconds)
        self.best[round_] = min(self.best.get(round_, trial), trial, key=_mean)
        _log.info("round %d: %s has %.4f nats per unseen count", round_ + 1, candidate, _mean(trial))
        if self._progress is not None:
            self._progress(self._n_done, self._n_planned)
        return trial

    def _score(
        self, candidate: Candidate, epochs: int, genes: Int[np.ndarray, " some"]
    ) -> Float[np.ndarray, " n"]:
        config = self._config.model_validate(
            {**self._config.model_dump(), **candidate.options(self._config), "epochs": epochs}
        )
        names = tuple(self._counts.sample_names[row] for row in self._train)
        x = self._counts.counts[np.ix_(self._train, genes)]
        profile = typical_profile(x, rule=config.scaling, sample_names=names)
        factors = scaling_factors(x, rule=config.scaling, profile=profile, sample_names=names)
        chosen = [self._counts.genes[gene] for gene in genes]
        with _hushed():
            model = fit(x, factors, genes=chosen, profile=profile, config=config).model.eval()
        nll = unseen_nll(model, self._counts.counts[np.ix_(self._held_out, genes)])
        return np.where(np.isfinite(nll), nll, np.inf)


@contextmanager
def _hushed() -> Iterator[None]:
    """Without advice on how to train a candidate better: that some fit badly is what a search is for."""
    log = logging.getLogger("pydgd.training")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _table(
    ranked: Sequence[_Trial], best: dict[int, _Trial], rule: Candidate, owners: Int[np.ndarray, " n"]
) -> pd.DataFrame:
    rows = []
    for trial in ranked:
        behind = trial.nll - best[trial.round].nll
        known = bool(np.isfinite(behind).all())
        rows.append(
            {
                **trial.candidate._asdict(),
                "round": trial.round + 1,
                "epochs": trial.epochs,
                "genes": trial.n_genes,
                "nll": _mean(trial),
                "behind": float(behind.mean()) if known else np.inf,
                "behind_se": _standard_error(behind, owners) if known else np.nan,
                "seconds": trial.seconds,
                "default": trial.candidate == rule,
            }
        )
    return pd.DataFrame(rows)


def _standard_error(values: Float[np.ndarray, " n"], owners: Int[np.ndarray, " n"]) -> float:
    """Of the mean of values that come in groups: samples of a donor are alike."""
    deviations = np.bincount(owners, weights=values - values.mean())
    n_groups = len(deviations)
    return float(np.sqrt((deviations**2).sum() * n_groups / (n_groups - 1)) / len(values))
