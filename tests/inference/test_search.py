# SPDX-License-Identifier: BSD-3-Clause
"""The search for representations: optima, company, masks, and the model left as it was."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from pydgd.core.decoder import Decoder
from pydgd.core.model import JointModel
from pydgd.inference import Representations, SearchOptions, find_representations
from pydgd.inference.search import frozen
from pydgd.inference.second_order import BLOCK, memory_for, refine

MODULES = ["nb_feature_dispersion", "nb_full_dispersion", "poisson"]
KINDS = [(name, widths) for name in MODULES for widths in ((), (12,))]
kinds = pytest.mark.parametrize(("name", "widths"), KINDS)


def search(
    made, rows: list[int] | slice = slice(None), *, counts: Tensor | None = None, **options
) -> Representations:
    """Representations of some of a problem's samples, with every field."""
    x = made.counts if counts is None else counts
    return find_representations(
        made.model, x[rows], made.scaling_factors[rows], measured=made.measured, curvature=True, **options
    )


def optimum(f: Callable[[np.ndarray], float], start: np.ndarray) -> float:
    """Value at the bottom that SciPy reaches from here; begun anew once, lest a line search gave up."""
    return float(minimize(f, minimize(f, start).x).fun)


@pytest.mark.parametrize("prior", ["em", "gradient"])
@kinds
def test_refine_reaches_the_optimum(problem, name: str, widths: tuple[int, ...], prior: str) -> None:
    """Within 1e-2 nats of SciPy's float64 minimiser from the same start, by SciPy's own objective."""
    made = problem(name, widths=widths, prior=prior, n_samples=2)
    start, objective = made.z + 0.3, made.objective()
    end = refine(objective, start, memory_for(objective, start), max_iter=180, tolerance=1e-3)
    assert (end.decrement < 1e-2).all()
    for sample in range(2):
        f = made.reference(sample)
        assert f(end.z[sample].numpy()) <= optimum(f, start[sample].numpy()) + 1e-2


@kinds
def test_search_finds_an_optimum_at_least_as_good_as_from_the_truth(
    problem, name: str, widths: tuple[int, ...]
) -> None:
    """From component means alone it is no worse than a minimiser that starts where the counts were made."""
    made = problem(name, widths=widths, n_samples=2)
    found = search(made)
    assert (found.decrement < 1e-2).all()
    for sample in range(2):
        assert found.value[sample] <= optimum(made.reference(sample), made.z[sample].numpy()) + 2e-2


@kinds
def test_results_are_those_of_the_reported_positions(problem, name: str, widths: tuple[int, ...]) -> None:
    """Value, likelihood and component are recomputed from z."""
    made = problem(name, widths=widths)
    found = search(made)
    objective = made.objective()
    torch.testing.assert_close(found.value, objective.value(found.z), rtol=1e-6, atol=0)
    torch.testing.assert_close(found.nll, objective.nll(found.z), rtol=1e-6, atol=0)
    assert torch.equal(found.component, made.model.prior.predict(found.z))
    assert (found.spread >= 0).all()
    assert (found.evaluations > 0).all()


@pytest.mark.parametrize("n_genes", [50, 5003])
@kinds
def test_answer_is_the_same_to_the_bit_in_any_company(
    problem, name: str, widths: tuple[int, ...], n_genes: int
) -> None:
    """Alone, in another order, among other samples, at another place of the block."""
    made = problem(name, widths=widths, n_genes=n_genes, n_samples=BLOCK + 3)
    options = SearchOptions(n_starts=2, scout_iter=2, max_iter=3)
    together = search(made, options=options)
    order = torch.randperm(len(together.z), generator=torch.Generator().manual_seed(1)).tolist()
    shuffled = search(made, order, options=options)
    for field, mixed in zip(together, shuffled, strict=True):
        assert torch.equal(field[order], mixed)
    for sample in (5, BLOCK + 2):
        alone = search(made, [sample], options=options)
        for field, single in zip(together, alone, strict=True):
            assert torch.equal(field[sample], single[0])


@kinds
def test_answer_does_not_depend_on_what_the_neighbours_are(
    problem, name: str, widths: tuple[int, ...]
) -> None:
    """Extreme neighbours leave a sample's bits alone, and do not break the block."""
    made = problem(name, widths=widths, n_samples=BLOCK)
    before = search(made)
    counts, s = made.counts.clone(), made.scaling_factors.clone()
    counts[1], counts[2], counts[3] = 0, 0, 1e8
    counts[1, 0], counts[2, 3] = 1, 1e8
    s[1:4] = counts[1:4].sum(dim=1)
    after = find_representations(made.model, counts, s, curvature=True)
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[[0, *range(4, BLOCK)]], new[[0, *range(4, BLOCK)]])
    for field in after:
        assert field.isfinite().all()


@kinds
def test_masked_genes_are_as_if_the_model_never_had_them(problem, name: str, widths: tuple[int, ...]) -> None:
    """Same optimum as with a decoder from which their rows were cut; their counts may be anything."""
    made = problem(name, widths=widths, share_measured=0.3, n_samples=3)
    cut = without_genes(made.model, made.measured)
    expected = find_representations(cut, made.counts[:, made.measured], made.scaling_factors)
    found = search(made)
    torch.testing.assert_close(found.value, expected.value, rtol=0, atol=2e-3)
    torch.testing.assert_close(found.nll, expected.nll, rtol=1e-4, atol=2e-2)
    other = made.counts.clone()
    other[:, ~made.measured] = 1e7
    for one, two in zip(found, search(made, counts=other), strict=True):
        assert torch.equal(one, two)


def without_genes(model: JointModel, measured: Tensor) -> JointModel:
    """The same model of the measured genes alone."""
    config = model.decoder.config()
    config["output_module_options"]["output_dim"] = int(measured.sum())
    decoder = Decoder(**config)
    n_genes = len(measured)
    decoder.load_state_dict(
        {
            key: value[measured]
            if len(value) == n_genes
            else value[:, measured]
            if value.shape[:1] == (1,)
            else value
            for key, value in model.decoder.state_dict().items()
        }
    )
    genes = [gene for gene, kept in zip(model.genes, measured, strict=True) if kept]
    small = JointModel(genes, decoder, model.prior, model.scaling, model.profile[measured])
    return small.eval().requires_grad_(requires_grad=False)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [True, False])
@pytest.mark.parametrize("prior", ["em", "gradient"])
def test_frozen_restores_flags(problem, prior: str, training: bool, fails: bool) -> None:
    """Mode and gradients come back as they were, also after an error."""
    model = problem(widths=(8,), prior=prior).model.train(training)
    trained = [f"decoder.{name}" for name, _ in model.decoder.named_parameters()][1:]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    try:
        with frozen(model):
            assert not model.training
            assert not any(parameter.requires_grad for parameter in model.parameters())
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert fails
    assert model.training == training
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == trained


@kinds
def test_search_leaves_the_model_alone(problem, name: str, widths: tuple[int, ...]) -> None:
    """No parameter, buffer, gradient or random state changes; a trained model need not be frozen first."""
    made = problem(name, widths=widths)
    made.model.requires_grad_().train()
    before, state = {k: v.clone() for k, v in made.model.state_dict().items()}, torch.get_rng_state()
    search(made)
    assert all(torch.equal(value, before[key]) for key, value in made.model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in made.model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_is_off_in_the_search(problem) -> None:
    """A model with dropout gives one answer."""
    made = problem(widths=(12,))
    for layer in made.model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.5
    made.model.train()
    assert torch.equal(search(made).z, search(made).z)


@pytest.mark.parametrize(("name", "widths"), [KINDS[0], KINDS[-1]])
def test_more_effort_is_not_worse(problem, name: str, widths: tuple[int, ...]) -> None:
    """More starts and evaluations find the same optimum or a better one."""
    made = problem(name, widths=widths, n_components=5, n_samples=3)
    little = search(made, options=SearchOptions(n_starts=1, scout_iter=1, max_iter=3))
    much = search(made, options=SearchOptions(n_starts=5, scout_iter=10, max_iter=100))
    usual = search(made)
    assert (usual.value <= little.value + 1e-3).all()
    assert (much.value <= usual.value + 1e-2).all()


@kinds
def test_a_single_start_is_not_scouted(problem, name: str, widths: tuple[int, ...]) -> None:
    """Where there is nothing to choose from, the search begins at once, however long scouts would go."""
    made = problem(name, widths=widths, n_components=1)
    short, long = (search(made, options=SearchOptions(scout_iter=steps)) for steps in (1, 9))
    assert all(torch.equal(one, other) for one, other in zip(short, long, strict=True))
    assert (short.spread == 0).all()
    assert (short.decrement < 1e-2).all()


def test_one_gene_and_one_component(problem) -> None:
    """The smallest model there is."""
    for name, widths in KINDS:
        found = search(problem(name, widths=widths, n_genes=1, n_components=1, latent_dim=1))
        assert all(field.isfinite().all() for field in found)
        assert (found.spread == 0).all()


@kinds
def test_few_reads_leave_the_prior(problem, name: str, widths: tuple[int, ...]) -> None:
    """A sample with one read is finite, converged, and close to where the prior alone would have it."""
    made = problem(name, widths=widths, n_samples=2)
    counts = torch.zeros_like(made.counts)
    counts[:, 4] = 1
    found = find_representations(made.model, counts, torch.ones(2), curvature=True)
    assert all(field.isfinite().all() for field in found)
    assert (found.decrement < 1e-2).all()
    log_prob = made.model.prior.log_prob
    assert (log_prob(found.z) > log_prob(made.model.prior.means.double()).max() - 10).all()


@kinds
def test_deep_counts_that_nothing_explains_are_searched(problem, name: str, widths: tuple[int, ...]) -> None:
    """Where nearly all genes are aberrant, rounding leaves the curvature indefinite: still an answer each."""
    made = problem(name, widths=widths, n_samples=5, n_genes=120)
    options = SearchOptions(likelihood="contaminated")
    found = find_representations(made.model, 1e4 * made.counts, 1e4 * made.counts.sum(dim=1), options=options)
    assert found.z.isfinite().all()
    assert found.value.isfinite().all()


def test_counts_of_a_model_in_float64(problem) -> None:
    """A decoder turned to double precision is searched in double precision."""
    made = problem()
    expected = search(made)
    made.model.double()
    found = find_representations(made.model, made.counts.double(), made.scaling_factors.double())
    torch.testing.assert_close(found.value, expected.value, rtol=1e-6, atol=1e-3)


def test_progress_counts_samples(problem) -> None:
    """Told after every block; the last call says that all are done."""
    made, calls = problem(n_samples=2 * BLOCK + 1), []
    search(made, progress=lambda done, all_of_them: calls.append((done, all_of_them)))
    n = 2 * BLOCK + 1
    assert calls == [(BLOCK, n), (2 * BLOCK, n), (n, n)]
