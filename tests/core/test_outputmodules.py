"""Output modules: the reference page's interface, its decision table, oracles, edges, for all classes."""

import inspect
import json
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from pydgd.core.outputmodules import (
    OUTPUT_MODULES,
    OutputModule,
    OutputModuleNBFeatureDispersion,
    OutputModuleNBFullDispersion,
    OutputModulePoisson,
)

INF, NAN = float("inf"), float("nan")

# Written from the reference page: positional parameters, in order, with defaults.
MEANS_ONLY = {
    "forward": "self x",
    "log_prob": "self obs_counts pred_means scaling_factors",
    "loss": "self obs_counts pred_means scaling_factors",
    "sample": "self n pred_means scaling_factors",
    "rescale": "means scaling_factors",
}
PAGE = {
    OutputModuleNBFeatureDispersion: {
        "__init__": "self input_dim output_dim r_init activation='softplus'",
        "log_prob_mass": "k m r",
        **MEANS_ONLY,
    },
    OutputModuleNBFullDispersion: {
        "__init__": "self input_dim output_dim activation='softplus'",
        "forward": "self x",
        "log_prob": "self obs_counts pred_means pred_log_r_values scaling_factors",
        "log_prob_mass": "k m r",
        "loss": "self obs_counts pred_means pred_log_r_values scaling_factors",
        "sample": "self n pred_means pred_log_r_values scaling_factors",
        "rescale": "means scaling_factors",
    },
    OutputModulePoisson: {
        "__init__": "self input_dim output_dim activation='softplus'",
        "log_prob_mass": "k m",
        **MEANS_ONLY,
    },
}
PROPERTIES = {
    OutputModuleNBFeatureDispersion: {"activation", "input_dim", "log_r", "output_dim"},
    OutputModuleNBFullDispersion: {"activation", "input_dim", "output_dim"},
    OutputModulePoisson: {"activation", "input_dim", "output_dim"},
}
# Agreed beyond the page, keyword-only.
ADDED = {("sample", "generator", None), ("__init__", "log_r_activation", "linear")}


@pytest.mark.parametrize(("cls", "method"), [(cls, method) for cls in PAGE for method in PAGE[cls]])
def test_signatures_are_those_of_the_page(cls: type[OutputModule], method: str) -> None:
    """Names, order and defaults of every method; what is added is keyword-only."""
    parameters = inspect.signature(getattr(cls, method)).parameters.values()
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    written = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in positional]
    assert " ".join(written) == PAGE[cls][method]
    for added in (p for p in parameters if p not in positional):
        assert added.kind is added.KEYWORD_ONLY
        assert (method, added.name, added.default) in ADDED


def test_static_methods_and_properties_are_those_of_the_page(case) -> None:
    """`log_prob_mass` and `rescale` are static, the page's properties are properties."""
    for name in ("log_prob_mass", "rescale"):
        assert isinstance(inspect.getattr_static(case.cls, name), staticmethod)
    for name in PROPERTIES[case.cls]:
        assert isinstance(inspect.getattr_static(case.cls, name), property)


def test_registry_names_each_class(case) -> None:
    """The registry leads from a module's name to its class."""
    assert OUTPUT_MODULES[case.build().name] is case.cls


def test_properties_are_read_only(case) -> None:
    """Assignment raises AttributeError, also of modules and parameters, which nn.Module handles by itself."""
    module = case.build()
    for name in PROPERTIES[case.cls]:
        for value in ("softplus", 3, nn.Softplus(), nn.Parameter(torch.zeros(1, 3))):
            with pytest.raises(AttributeError, match=name):
                setattr(module, name, value)
    assert (module.input_dim, module.output_dim, module.activation) == (4, 3, "softplus")


def test_log_r_is_the_trained_parameter() -> None:
    """Shape (1, G), natural log, and among the parameters."""
    module = OutputModuleNBFeatureDispersion(4, 3, 5.0)
    assert isinstance(module.log_r, nn.Parameter)
    assert any(parameter is module.log_r for parameter in module.parameters())
    torch.testing.assert_close(module.log_r.detach(), torch.full((1, 3), math.log(5.0)))


@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
@pytest.mark.parametrize("shape", [(4,), (1, 4), (6, 4), (5, 2, 7, 4)])
def test_forward_gives_positive_means_of_any_batch_shape(case, activation: str, shape: tuple) -> None:
    """Means are > 0, below 1 for sigmoid, with the genes last."""
    module = case.build(activation=activation)
    outputs = module(torch.randn(shape))
    means = module.means_of(outputs)
    assert means.shape == (*shape[:-1], 3)
    assert (means > 0).all()
    assert activation == "softplus" or (means < 1).all()
    assert isinstance(outputs, tuple) == case.predicts_r


def test_log_r_of_full_dispersion_is_linear_unless_asked() -> None:
    """ln r is the projection itself, or the projection through the activation of the means."""
    x = torch.randn(6, 4)
    linear = OutputModuleNBFullDispersion(4, 3, "softplus")
    same = OutputModuleNBFullDispersion(4, 3, "softplus", log_r_activation="same")
    same.load_state_dict(linear.state_dict())
    projection = linear.layer_log_r(x)
    assert torch.equal(linear(x)[1], projection)
    torch.testing.assert_close(same(x)[1], nn.functional.softplus(projection))
    assert same.log_r_activation == "same"


def test_log_r_of_belongs_to_the_outputs(case) -> None:
    """(1, G) per gene, (N, G) if predicted, None for Poisson."""
    module = case.build()
    log_r = module.log_r_of(module(torch.randn(6, 4)))
    expected = {"nb_feature_dispersion": (1, 3), "nb_full_dispersion": (6, 3), "poisson": None}
    assert (None if log_r is None else log_r.shape) == expected[module.name]


def mpmath_log_mass(k: float, m: float, r: float | None) -> float:
    """Exact to 50 digits after cancellation at k = 1e8, r = 1e30."""
    with mpmath.workdps(120):
        k, m = mpmath.mpf(k), mpmath.mpf(m)
        if r is None:
            return float(k * mpmath.log(m) - m - mpmath.loggamma(k + 1))
        r = mpmath.mpf(r)
        gammas = mpmath.loggamma(k + r) - mpmath.loggamma(r) - mpmath.loggamma(k + 1)
        return float(gammas + k * mpmath.log(m / (r + m)) + r * mpmath.log(r / (r + m)))


EXTREME_K = [0.0, 1.0, 1e3, 1e8]
EXTREME_M = [1e-20, 1e-6, 1.0, 1e3, 1e8]
EXTREME_R = [1e-30, 1e-8, 1e-2, 1.0, 1e2, 1e8, 1e30]


def test_nb_log_prob_mass_agrees_with_mpmath(nb_case) -> None:
    """float32 within 2e-6 relative and 1e-3 nats from r = 1e-30 to 1e30, up to a hundred million reads."""
    grid = torch.cartesian_prod(*map(torch.tensor, (EXTREME_K, EXTREME_M, EXTREME_R)))
    expected = [mpmath_log_mass(*row) for row in grid.double().tolist()]
    log_mass = nb_case.cls.log_prob_mass(*grid.T)
    np.testing.assert_allclose(log_mass.numpy(), expected, rtol=2e-6, atol=1e-3)


def test_poisson_log_prob_mass_agrees_with_mpmath() -> None:
    """float32 within 2e-6 relative and 1e-3 nats up to a hundred million reads."""
    grid = torch.cartesian_prod(*map(torch.tensor, (EXTREME_K, EXTREME_M)))
    expected = [mpmath_log_mass(k, m, None) for k, m in grid.double().tolist()]
    log_mass = OutputModulePoisson.log_prob_mass(*grid.T)
    np.testing.assert_allclose(log_mass.numpy(), expected, rtol=2e-6, atol=1e-3)


def test_nb_reaches_the_poisson_limit() -> None:
    """At r = 1e30 the page's epsilon would give +220 nats; the exact value is Poisson's -1.74."""
    five = torch.tensor(5.0)
    log_mass = OutputModuleNBFullDispersion.log_prob_mass(five, five, torch.tensor(1e30))
    assert log_mass.item() == pytest.approx(stats.poisson.logpmf(5, 5), abs=1e-6)


@pytest.mark.parametrize("k", [0.0, 1.0, 5.0, 1e4])
@pytest.mark.parametrize("r", [1e-3, 0.5, 2.0, 1e4])
def test_nb_mean_of_zero_follows_the_page(k: float, r: float) -> None:
    """Certain zero at k = 0; else ln 1e-10 a read, at most 0, with the gradient of the page's formula."""
    m = torch.tensor(0.0, requires_grad=True)
    log_mass = OutputModuleNBFeatureDispersion.log_prob_mass(torch.tensor(k), m, torch.tensor(r))
    log_mass.backward()
    page_m = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    c = 1 / (r + page_m + 1e-10)
    page = math.lgamma(k + r) - math.lgamma(r) - math.lgamma(k + 1)
    page = page + k * torch.log(page_m * c + 1e-10) + r * torch.log(r * c)
    page.backward()
    assert log_mass.item() == pytest.approx(min(page.item(), 0.0) if k else 0.0, rel=1e-5)
    assert m.grad.item() == pytest.approx(page_m.grad.item(), rel=1e-5)


@pytest.mark.parametrize("k", [0.0, 1.0, 5.0, 1e4])
def test_poisson_mean_of_zero_follows_the_page(k: float) -> None:
    """Certain zero at k = 0; else ln 1e-10 a read, with the gradient of the page's formula."""
    m = torch.tensor(0.0, requires_grad=True)
    log_mass = OutputModulePoisson.log_prob_mass(torch.tensor(k), m)
    log_mass.backward()
    assert log_mass.item() == pytest.approx(k * math.log(1e-10) - math.lgamma(k + 1), rel=1e-5)
    assert m.grad.item() == pytest.approx(k / 1e-10 - 1, rel=1e-5)


def test_values_and_gradients_stay_finite_at_extremes(case) -> None:
    """float32, r from 1e-30 to 1e30, m and k from zero to 1e8: finite, and no probability above 1."""
    k, m, r = torch.cartesian_prod(*map(torch.tensor, (EXTREME_K, [0.0, *EXTREME_M], EXTREME_R))).T
    m, r = m.clone().requires_grad_(), r.clone().requires_grad_()
    parameters = (m, r) if case.has_r else (m,)
    log_mass = case.cls.log_prob_mass(k, *parameters)
    assert torch.isfinite(log_mass).all()
    assert (log_mass <= 1e-3).all()
    log_mass.sum().backward()
    for parameter in parameters:
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("log_r", [-1e3, -104.0, 89.0, 1e3])
def test_log_r_beyond_float32_stays_finite(nb_case, log_r: float) -> None:
    """exp(log_r) is 0 or infinite in float32, where others return NaN; draws are whole numbers even so."""
    module = nb_case.build()
    predictions = (torch.ones(2, 3, requires_grad=True), torch.full((2, 3), log_r, requires_grad=True))
    if not nb_case.predicts_r:
        module.log_r.data.fill_(log_r)
        predictions = predictions[:1]
    counts, factors = torch.tensor([[0.0, 1.0, 1e6]] * 2), torch.tensor([1.0, 50.0])
    loss = module.loss(counts, *predictions, factors)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert all(torch.isfinite(prediction.grad).all() for prediction in predictions)
    draws = module.sample(3, *predictions, factors)
    assert torch.equal(draws, draws.round())


def _page_nb(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """The page's formula with its epsilon, in float64."""
    c = 1 / (r + m + 1e-10)
    gammas = torch.lgamma(k + r) - torch.lgamma(r) - torch.lgamma(k + 1)
    return gammas + k * torch.log(m * c + 1e-10) + r * torch.log(r * c)


def test_nb_agrees_with_bulkdgd_where_its_epsilon_is_silent(shared: Path) -> None:
    """Within 2e-3 where m/(r+m) >= 1e-5; elsewhere the page's formula is bulkdgd's value, ours is exact."""
    table = json.loads((shared / "peer/artifacts/reference/reference_values.json").read_text())["nb_logpmf"]
    k, m, r = torch.cartesian_prod(*(torch.tensor(table[name], dtype=torch.float64) for name in "kmr")).T
    peer = torch.tensor(table["value"], dtype=torch.float64).flatten()
    ours = OutputModuleNBFeatureDispersion.log_prob_mass(k.float(), m.float(), r.float()).double()
    tolerance = 2e-3 * peer.abs().clamp(min=1.0)
    silent = m / (r + m) >= 1e-5
    assert silent.sum() == 186
    assert ((ours - peer).abs() <= tolerance)[silent].all()
    differ = (ours - peer).abs() > tolerance
    # Of the 216 values, these differ by the epsilon: m / (r + m) is as small as it, 1e-10.
    listed = [(count, pytest.approx(1e-6), 1e4) for count in (1.0, 3.0, 10.0, 250.0, 12345.0)]
    assert torch.stack([k, m, r], 1)[differ].tolist() == [list(row) for row in listed]
    assert ((_page_nb(k, m, r) - peer).abs() <= tolerance)[differ].all()
    exact = [mpmath_log_mass(*row) for row in torch.stack([k, m, r], 1)[differ].tolist()]
    np.testing.assert_allclose(ours[differ], exact, rtol=1e-5)


def test_poisson_agrees_with_bulkdgd(shared: Path) -> None:
    """Within 1e-5 relative everywhere on the stored grid."""
    table = json.loads((shared / "peer/artifacts/reference/reference_values.json").read_text())[
        "poisson_logpmf"
    ]
    k, m = torch.cartesian_prod(torch.tensor(table["k"]), torch.tensor(table["m"])).T
    ours = OutputModulePoisson.log_prob_mass(k, m)
    np.testing.assert_allclose(ours.numpy(), np.ravel(table["value"]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3, 3)])
def test_r_belongs_to_the_gene_or_the_entry(nb_case, shape: tuple[int, ...]) -> None:
    """Different r per gene (last dimension) or per entry: SciPy's log-mass, and variance of draws."""
    module = nb_case.build()
    log_r = torch.tensor([[-2.0, 1.0, 6.0]])
    if nb_case.predicts_r:
        log_r = torch.linspace(-2.0, 6.0, math.prod(shape)).reshape(shape)
    else:
        module.log_r.data.copy_(log_r)
    counts, means, factors = torch.full(shape, 4), torch.full(shape, 5.0), torch.full(shape[:1], 2.0)
    predictions = (means, log_r) if nb_case.predicts_r else (means,)
    r = log_r.exp().double().expand(shape).numpy()
    expected = stats.nbinom.logpmf(4, r, r / (r + 10.0))
    log_prob = module.log_prob(counts, *predictions, factors).detach()
    np.testing.assert_allclose(log_prob.numpy(), expected, rtol=1e-5, atol=1e-4)
    generator = torch.Generator().manual_seed(2)
    variance = module.sample(20_000, *predictions, factors, generator=generator).var(0)
    np.testing.assert_allclose(variance.numpy(), 10.0 + 100.0 / r, rtol=0.25)


def test_masses_sum_to_one(case) -> None:
    """The log-mass is that of a distribution over 0, 1, 2, ..."""
    k = torch.arange(3000.0, dtype=torch.float64)
    r = (torch.tensor(0.7, dtype=torch.float64),) if case.has_r else ()
    total = case.cls.log_prob_mass(k, torch.tensor(40.0, dtype=torch.float64), *r).exp().sum()
    assert total.item() == pytest.approx(1.0, abs=1e-10)


def test_log_prob_mass_broadcasts(case) -> None:
    """Any shapes that broadcast together."""
    r = (torch.rand(2, 1, 1) + 1,) if case.has_r else ()
    shape = case.cls.log_prob_mass(torch.ones(4, 1), torch.ones(3), *r).shape
    assert shape == ((2, 4, 3) if case.has_r else (4, 3))


def test_log_prob_mass_has_the_right_gradients(case) -> None:
    """Numerical differentiation in float64 agrees, in m and in r."""
    k = torch.tensor([0.0, 1.0, 7.0, 300.0], dtype=torch.float64)
    m = torch.tensor([0.3, 4.0, 7.5, 20.0], dtype=torch.float64, requires_grad=True)
    r = torch.tensor([0.2, 3.0, 40.0, 900.0], dtype=torch.float64, requires_grad=True)
    parameters = (m, r) if case.has_r else (m,)
    assert torch.autograd.gradcheck(lambda *p: case.cls.log_prob_mass(k, *p), parameters)


def test_log_r_of_another_shape_or_not_finite_is_refused() -> None:
    """Predicted ln r has one value per mean, and is a number."""
    module = OutputModuleNBFullDispersion(4, 3)
    ones = torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"pred_log_r_values .*\(2, 3\); got \(1, 3\)"):
        module.log_prob(ones, ones, torch.ones(1, 3), torch.ones(2))
    with pytest.raises(ValueError, match="pred_log_r_values must be finite"):
        module.sample(1, ones, ones * NAN, torch.ones(2))


def test_means_of_other_genes_are_refused_where_r_is_per_gene() -> None:
    """r belongs to the module's genes, so the last dimension must be theirs."""
    module = OutputModuleNBFeatureDispersion(4, 3, 2.0)
    with pytest.raises(ValueError, match=r"pred_means .* 3 genes, got shape \(3, 4\)"):
        module.log_prob(torch.ones(3, 4), torch.ones(3, 4), torch.ones(3))


def test_bad_arguments_of_log_prob_mass_are_refused(case) -> None:
    """Negative or infinite counts and means, r that is not > 0, and shapes that do not broadcast."""
    one, r = torch.ones(2), (torch.ones(2),) if case.has_r else ()
    with pytest.raises(ValueError, match="k must be finite and >= 0"):
        case.cls.log_prob_mass(-one, one, *r)
    with pytest.raises(ValueError, match="m must be finite and >= 0"):
        case.cls.log_prob_mass(one, INF * one, *r)
    with pytest.raises(ValueError, match=r"must broadcast together; got shapes \(2,\), \(3,\)"):
        case.cls.log_prob_mass(one, torch.ones(3), *r)
    if case.has_r:
        with pytest.raises(ValueError, match="r must be finite and > 0"):
            case.cls.log_prob_mass(one, one, 0.0 * one)


def test_unknown_log_r_activation_is_refused() -> None:
    """Only linear and same."""
    with pytest.raises(ValueError, match="log_r_activation must be one of 'linear', 'same'; got 'relu'"):
        OutputModuleNBFullDispersion(4, 3, log_r_activation="relu")


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("r_init", [0.0, -1.0, 0, INF, NAN, "2", True, None])
def test_r_init_must_be_positive(r_init: object) -> None:
    """r = 0 has no distribution."""
    with pytest.raises(ValueError, match="r_init must be a finite number > 0"):
        OutputModuleNBFeatureDispersion(4, 3, r_init)


def test_loss_is_minus_the_log_mass(case) -> None:
    """Of every element."""
    means, counts = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[0.0, 3.0, 9.0]])
    arguments = (counts, *case.predictions(means), torch.tensor([2.0]))
    module = case.build()
    assert torch.equal(module.loss(*arguments), -module.log_prob(*arguments))
    assert (module.loss(*arguments) > 0).all()


@pytest.mark.parametrize("log_r_activation", ["linear", "same"])
def test_full_dispersion_starts_at_the_r_it_is_given(log_r_activation: str) -> None:
    """In every sample, whichever function makes ln r."""
    module = OutputModuleNBFullDispersion(4, 3, log_r_activation=log_r_activation)
    r = torch.tensor([1.5, 3.0, 40.0])
    with torch.no_grad():
        module.initialise_log_r(r)
        _, log_r = module(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(log_r.exp(), r.expand(5, 3))
