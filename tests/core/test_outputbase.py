"""What all output modules share: scaling factors, shapes, dtypes, draws, checks, start values, inner path."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

from pydgd.core.distributions import log_factorial
from pydgd.core.outputmodules import OUTPUT_MODULES, OutputModule

INF, NAN = float("inf"), float("nan")
rescale = OutputModule.rescale

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


@given(shape=shapes, data=st.data())
def test_rescale_multiplies_along_the_first_dimension(shape: tuple[int, ...], data: st.DataObject) -> None:
    """NumPy's named product of (N,) with (N, ...), and plain broadcasting for factors that start with N."""
    means = torch.rand(shape)
    factors = torch.rand(shape[:1]) * 10.0
    expected = np.einsum("n...,n->n...", means.numpy(), factors.numpy())
    np.testing.assert_array_equal(rescale(means, factors).numpy(), expected)
    wide = torch.rand(shape[:1] + tuple(data.draw(st.sampled_from([1, size])) for size in shape[1:]))
    assert torch.equal(rescale(means, wide), means * wide)


@given(shape=shapes, factors=shapes)
def test_rescale_refuses_every_other_shape(shape: tuple[int, ...], factors: tuple[int, ...]) -> None:
    """Only (N,), or as many dimensions as the means, N first, others 1 or equal; both shapes are named."""
    same_rank = len(factors) == len(shape) and factors[0] == shape[0]
    fits = same_rank and all(a in (1, b) for a, b in zip(factors[1:], shape[1:], strict=True))
    if factors == shape[:1] or fits:
        assert rescale(torch.ones(shape), torch.ones(factors)).shape == shape
        return
    with pytest.raises(ValueError, match="scaling_factors must have shape") as error:
        rescale(torch.ones(shape), torch.ones(factors))
    assert str(shape) in str(error.value)
    assert str(factors) in str(error.value)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_rescale_refuses_scalars(shape: tuple[int, ...]) -> None:
    """Neither a mean nor a factor without a first dimension."""
    with pytest.raises(ValueError, match=r"got shape \(\)"):
        rescale(torch.ones(shape), torch.tensor(2.0))


def test_rescale_of_one_dimension_is_the_product() -> None:
    """The page's case: as many factors as means."""
    assert rescale(torch.tensor([1.0, 2.0]), torch.tensor([3, 5])).tolist() == [3.0, 10.0]


def test_rescale_takes_an_empty_batch() -> None:
    """No samples, no error."""
    assert rescale(torch.ones(0, 3), torch.ones(0)).shape == (0, 3)


@pytest.mark.parametrize("shape", [(5, 3), (3, 3), (1, 3), (5, 2, 4, 3), (3, 3, 3, 3)])
def test_log_prob_scales_along_the_first_dimension(case, shape: tuple) -> None:
    """SciPy's log-mass at s_i * m, whatever follows the samples, also for N = G; `loss` is its negative."""
    generator = torch.Generator().manual_seed(1)
    counts = torch.randint(0, 60, shape, generator=generator)
    means = torch.rand(shape, generator=generator) + 0.1
    factors = torch.rand(shape[0], generator=generator) * 40.0 + 1.0
    mu = means * factors.reshape(-1, *[1] * (len(shape) - 1))
    module = case.build()
    log_prob = module.log_prob(counts, *case.predictions(means), factors)
    np.testing.assert_allclose(log_prob.detach().numpy(), case.oracle(counts, mu), rtol=1e-5, atol=1e-4)
    assert torch.equal(module.loss(counts, *case.predictions(means), factors), -log_prob)
    assert log_prob.shape == shape


def test_one_sample_and_one_gene(case) -> None:
    """N = 1 and G = 1 keep their dimensions, in the log-mass and in the draws."""
    module = case.build(4, 1)
    means = module.means_of(module(torch.zeros(1, 4)))
    arguments = (*case.predictions(means), torch.tensor([7.0]))
    assert module.log_prob(torch.ones(1, 1), *arguments).shape == (1, 1)
    assert module.sample(1, *arguments).shape == (1, 1, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count_dtype", [torch.int32, torch.int64, torch.float32, torch.float64])
def test_result_has_the_dtype_of_the_means(case, dtype: torch.dtype, count_dtype: torch.dtype) -> None:
    """Neither counts nor scaling factors nor a float32 parameter change it."""
    module = case.build()
    means = torch.ones(2, 3, dtype=dtype)
    factors = torch.ones(2, dtype=torch.float64)
    assert module.rescale(means, factors).dtype is dtype
    counts = torch.ones(2, 3).to(count_dtype)
    assert module.log_prob(counts, *case.predictions(means), factors).dtype is dtype
    assert module.sample(2, *case.predictions(means), factors).dtype is dtype
    r = (torch.ones(3, dtype=torch.float64),) if case.has_r else ()
    assert module.log_prob_mass(counts, means, *r).dtype is dtype


def test_integer_means_and_r_are_not_truncated(case) -> None:
    """Means, ln r and r given as integers: the result is that of the same numbers as floats."""
    module = case.build()
    counts, means, factors = torch.full((2, 3), 5), torch.full((2, 3), 5), torch.tensor([0.5, 1.25])
    whole = (means, torch.ones_like(means)) if case.predicts_r else (means,)
    floats = tuple(x.float() for x in whole)
    assert torch.equal(module.rescale(means, factors), module.rescale(means.float(), factors))
    assert torch.equal(module.log_prob(counts, *whole, factors), module.log_prob(counts, *floats, factors))
    assert module.sample(2, *whole, factors).dtype is torch.float32
    r = (torch.tensor([2]),) if case.has_r else ()
    mass = module.log_prob_mass(torch.tensor([5]), torch.tensor([5]), *r)
    assert mass.dtype is torch.float32
    expected = case.oracle(torch.tensor([5]), torch.tensor([5]))
    np.testing.assert_allclose(mass.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(("factor", "mean"), [(1e30, 1e30), (1e300, 1.0), (1e300, 0.0)])
def test_overflowing_products_are_refused(case, factor: float, mean: float) -> None:
    """A finite mean times a finite factor beyond float32; the argument and both numbers are named."""
    module = case.build()
    means, factors = torch.full((2, 3), mean), torch.tensor([1.0, factor], dtype=torch.float64)
    message = r"scaling_factors must keep means \* scaling_factors within torch.float32; the largest factor"
    with pytest.raises(ValueError, match=message):
        module.log_prob(torch.ones(2, 3), *case.predictions(means), factors)
    with pytest.raises(ValueError, match=message):
        module.sample(1, *case.predictions(means), factors)


def _pooled(draws: Tensor, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observed and expected numbers of draws per value, neighbours pooled until 20 are expected."""
    expected = mass * draws.numel()
    group = np.cumsum(expected) // 20
    group = np.unique(np.minimum(group, group[-1] - 1), return_inverse=True)[1]
    observed = np.bincount(draws.flatten().long().numpy(), minlength=mass.size)
    return np.bincount(group, observed), np.bincount(group, expected)


def test_draws_fit_the_distribution(case) -> None:
    """20,000 draws of mean 12 (r = 2): chi-square fit not rejected at 1e-3, moments within 5 std errors."""
    module = case.build(4, 1)
    generator = torch.Generator().manual_seed(7)
    draws = module.sample(
        20_000, *case.predictions(torch.full((1, 1), 3.0)), torch.tensor([4.0]), generator=generator
    )
    fit = stats.nbinom(2.0, 2.0 / 14.0) if case.has_r else stats.poisson(12.0)
    observed, expected = _pooled(draws, fit.pmf(np.arange(400)))
    assert observed.size > 20
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3
    variance = fit.var()
    fourth = fit.stats(moments="k") * variance**2 + 3 * variance**2
    assert draws.mean().item() == pytest.approx(12.0, abs=5 * math.sqrt(variance / 20_000))
    assert draws.var().item() == pytest.approx(variance, abs=5 * math.sqrt((fourth - variance**2) / 20_000))


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (5, 3), (3, 3), (2, 4, 5, 3)])
@pytest.mark.parametrize("n", [1, 4])
def test_draws_are_whole_numbers_of_full_shape(case, shape: tuple, n: int) -> None:
    """(n, *shape) also for one draw or sample, >= 0, scaled along the first dimension, without gradient."""
    module = case.build(4, shape[-1])
    factors = torch.zeros(shape[0])
    factors[-1] = 1e4
    means = torch.ones(shape, requires_grad=True)
    draws = module.sample(n, *case.predictions(means, r=50.0), factors)
    assert draws.shape == (n, *shape)
    assert torch.equal(draws, draws.round())
    assert (draws[:, :-1] == 0).all()
    assert (draws[:, -1] > 10).all()
    assert not draws.requires_grad


def test_draws_with_a_generator_neither_use_nor_touch_the_global_state(case) -> None:
    """One seed, one result, whatever the global seed; the global state is the same afterwards."""
    module = case.build()
    arguments = (*case.predictions(torch.ones(5, 3)), torch.full((5,), 30.0))
    draws = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        draws.append(module.sample(10, *arguments, generator=torch.Generator().manual_seed(3)))
        assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(*draws)


def test_draws_without_a_generator_follow_the_global_seed(case) -> None:
    """`torch.manual_seed` decides, and two calls differ."""
    module = case.build()
    arguments = (*case.predictions(torch.ones(5, 3)), torch.full((5,), 30.0))
    torch.manual_seed(1)
    first, second = module.sample(10, *arguments), module.sample(10, *arguments)
    torch.manual_seed(1)
    assert torch.equal(first, module.sample(10, *arguments))
    assert not torch.equal(first, second)


BAD_VALUES = {
    "counts negative": ("obs_counts", {"counts": -1.0}),
    "counts infinite": ("obs_counts", {"counts": INF}),
    "counts nan": ("obs_counts", {"counts": NAN}),
    "means negative": ("pred_means", {"means": -0.1}),
    "means nan": ("pred_means", {"means": NAN}),
    "factors negative": ("scaling_factors", {"factors": -2.0}),
    "factors infinite": ("scaling_factors", {"factors": INF}),
}


@pytest.mark.parametrize(("name", "value"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_values_out_of_range_are_named(case, name: str, value: dict[str, float]) -> None:
    """The message holds the argument and the value received."""
    module = case.build()
    counts, means, factors = torch.ones(2, 3), torch.ones(2, 3), torch.ones(2)
    {"counts": counts, "means": means, "factors": factors}[next(iter(value))].view(-1)[1] = next(
        iter(value.values())
    )
    with pytest.raises(ValueError, match=f"{name} must be finite.*{next(iter(value.values()))}"):
        module.loss(counts, *case.predictions(means), factors)


@pytest.mark.parametrize("counts", [(2, 4), (3,), (2, 3, 1), (1, 3)])
def test_counts_of_another_shape_are_refused(case, counts: tuple) -> None:
    """Counts do not broadcast against the means: both shapes are in the message."""
    message = rf"pred_means .*obs_counts, \({counts[0]}.*\(2, 3\)"
    with pytest.raises(ValueError, match=message):
        case.build().log_prob(torch.ones(counts), *case.predictions(torch.ones(2, 3)), torch.ones(2))


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_than_one_draw_is_refused(case, n: int) -> None:
    """`n` counts draws, from one."""
    with pytest.raises(ValueError, match=f"n must be an integer of at least 1, got {n}"):
        case.build().sample(n, *case.predictions(torch.ones(2, 3)), torch.ones(2))


@pytest.mark.parametrize("bad", [0, -3, True])
@pytest.mark.parametrize("name", ["input_dim", "output_dim"])
def test_dimensions_must_be_positive_integers(case, name: str, bad: int) -> None:
    """Zero, negative numbers and booleans are no dimensions."""
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, got {bad}"):
        case.build(**{"input_dim": 4, "output_dim": 3, name: bad})


def test_unknown_activations_are_refused_with_the_known_ones(case) -> None:
    """The message lists what is allowed."""
    with pytest.raises(ValueError, match="activation must be one of 'softplus', 'sigmoid'; got 'tanh'"):
        case.build(activation="tanh")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nll_is_the_summed_loss(case, dtype: torch.dtype) -> None:
    """Per sample, float64, with or without the constant given, only over measured genes."""
    module = case.build(4, 5).to(dtype)
    counts = torch.randint(0, 40, (6, 5)).to(dtype)
    factors = torch.rand(6, dtype=torch.float64) * 20.0
    outputs = module(torch.randn(6, 4, dtype=dtype))
    loss = module.loss(counts, *(outputs if case.predicts_r else (outputs,)), factors).double()
    nll = module.nll(counts, outputs, factors)
    assert nll.dtype is torch.float64
    torch.testing.assert_close(nll, loss.sum(1), rtol=1e-5, atol=1e-4)
    given_constant = module.nll(counts, outputs, factors, log_factorial=log_factorial(counts))
    torch.testing.assert_close(given_constant, nll, rtol=1e-5, atol=1e-4)
    mask = torch.tensor([True, False, True, True, False])
    masked = module.nll(counts, outputs, factors, mask=mask)
    torch.testing.assert_close(masked, loss[:, mask].sum(1), rtol=1e-5, atol=1e-4)


def test_nll_and_summed_loss_have_the_same_gradients(case) -> None:
    """The unchecked path trains the same model as the page's `loss`."""
    module = case.build(4, 5).double()
    counts, factors, x = (
        torch.randint(0, 40, (6, 5)).double(),
        torch.rand(6) * 20.0,
        torch.randn(6, 4).double(),
    )
    outputs = module(x)
    loss = module.loss(counts, *(outputs if case.predicts_r else (outputs,)), factors).sum()
    parameters = list(module.parameters())
    expected = torch.autograd.grad(loss, parameters)
    gradients = torch.autograd.grad(module.nll(counts, module(x), factors).sum(), parameters)
    torch.testing.assert_close(gradients, expected, rtol=1e-6, atol=1e-8)


def test_nll_of_one_row_of_outputs_serves_all_samples(case) -> None:
    """As if the row were repeated, gradient included; also with what is frozen told beforehand."""
    module = case.build(4, 5).double()
    counts, factors = torch.randint(0, 40, (6, 5)).double(), torch.rand(6).double() * 20.0
    x = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    given = module.frozen_constants(counts)
    with torch.no_grad():
        torch.testing.assert_close(
            module.nll(counts, module(x), factors, **given), module.nll(counts, module(x), factors)
        )
    one, repeated = (module.nll(counts, module(y), factors) for y in (x, x.expand(6, 4)))
    torch.testing.assert_close(one, repeated)
    torch.testing.assert_close(*(torch.autograd.grad(nll.sum(), x) for nll in (one, repeated)))


def test_what_is_frozen_is_told_for_the_kernel_that_takes_it(case) -> None:
    """In float32 that of a plain search; a compiled one is asked for."""
    module = case.build(4, 5)
    counts, factors = torch.randint(0, 40, (6, 5)).float(), torch.rand(6) * 20.0
    with torch.no_grad():
        outputs = module(torch.randn(6, 4))
        told = module.nll(counts, outputs, factors, **module.frozen_constants(counts))
        torch.testing.assert_close(told, module.nll(counts, outputs, factors), rtol=1e-5, atol=1e-4)
    assert all(values.isfinite().all() for values in module.frozen_constants(counts, compiled=True).values())


def test_nll_is_differentiable_in_scaling_factors(case) -> None:
    """Its derivative in ln s is the sum of those in ln m."""
    module = case.build(4, 5).double()
    counts = torch.randint(0, 40, (6, 5)).double()
    factors = (torch.rand(6).double() * 20.0 + 1.0).requires_grad_()
    outputs = module(torch.randn(6, 4, dtype=torch.float64))
    means = module.means_of(outputs)
    nll = module.nll(counts, outputs, factors)
    to_factors, to_means = torch.autograd.grad(nll.sum(), (factors, means))
    torch.testing.assert_close(to_factors * factors, (to_means * means).sum(1))
    torch.testing.assert_close(nll, module.nll(counts, outputs, factors.detach()))


@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
def test_initialise_predicts_the_profile(case, activation: str) -> None:
    """At x = 0 the means are the profile (kept within the activation's reach), r is the given one."""
    module = case.build(8, 4, activation=activation)
    profile, r = torch.tensor([0.0, 1e-5, 0.5, 1e6]), torch.tensor([1e-3, 0.5, 2.0, 1e5])
    module.initialise(profile, r, generator=torch.Generator().manual_seed(0))
    outputs = module(torch.zeros(2, 8))
    reach = [1e-8, 1e-5, 0.5, 1e6] if activation == "softplus" else [1e-6, 1e-5, 0.5, 1 - 1e-6]
    torch.testing.assert_close(module.means_of(outputs)[0], torch.tensor(reach), rtol=2e-6, atol=0.0)
    if case.has_r:
        log_r = module.log_r_of(module(torch.randn(3, 8)))
        torch.testing.assert_close(log_r, r.log().expand_as(log_r))


def test_initialise_draws_small_weights_from_the_generator(case) -> None:
    """Spread weight_scale / sqrt(width), one seed one result, the global state untouched."""
    profile, r = torch.ones(300), torch.ones(300)
    modules = [case.build(400, 300) for _ in range(2)]
    before = torch.get_rng_state()
    for module in modules:
        module.initialise(profile, r, weight_scale=0.1, generator=torch.Generator().manual_seed(5))
    assert torch.equal(before, torch.get_rng_state())
    first, second = (module.layer_means.weight for module in modules)
    assert torch.equal(first, second)
    assert first.std().item() == pytest.approx(0.1 / 20.0, rel=0.02)
    assert first.requires_grad


@pytest.mark.parametrize(("activation", "ceiling"), [("softplus", INF), ("sigmoid", math.e)])
def test_initialise_reaches_r_through_the_activation_of_release_1(activation: str, ceiling: float) -> None:
    """With log_r_activation="same", r starts as given within the activation's reach, 1 to e for sigmoid."""
    module = OUTPUT_MODULES["nb_full_dispersion"](8, 4, activation, log_r_activation="same")
    r = torch.tensor([0.5, 1.5, 2.5, 40.0])
    module.initialise(torch.ones(4), r)
    torch.testing.assert_close(
        module(torch.randn(1, 8))[1][0].exp(), r.clamp(1.0, ceiling), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("value", [-1.0, NAN, INF])
def test_initialise_refuses_bad_profiles(case, value: float) -> None:
    """One finite mean >= 0 per gene."""
    module = case.build()
    with pytest.raises(ValueError, match="mean_profile must be finite and >= 0"):
        module.initialise(torch.full((3,), value), torch.ones(3))
    with pytest.raises(ValueError, match=r"mean_profile must have shape \(3,\), got \(1, 3\)"):
        module.initialise(torch.ones(1, 3), torch.ones(3))


def test_initialise_refuses_bad_r(nb_case) -> None:
    """One r > 0 per gene; the weights stay as they were."""
    module = nb_case.build()
    with pytest.raises(ValueError, match="r must be finite and > 0"):
        module.initialise(torch.ones(3), torch.zeros(3))


def test_forward_refuses_another_width(case) -> None:
    """The last dimension is the hidden layer's."""
    with pytest.raises(ValueError, match=r"x must have a last dimension of 4, got shape \(2, 5\)"):
        case.build()(torch.ones(2, 5))


def test_other_attributes_can_be_set(case) -> None:
    """Only properties are locked: modules and parameters register as in every nn.Module."""
    module = case.build()
    module.extra = nn.Linear(1, 1)
    assert "extra.weight" in module.state_dict()


def test_methods_take_keywords(case) -> None:
    """Every argument may be named as on the page."""
    module = case.build()
    named = {"pred_means": torch.ones(2, 3), "scaling_factors": torch.ones(2)}
    if case.predicts_r:
        named["pred_log_r_values"] = torch.zeros(2, 3)
    assert module.log_prob(obs_counts=torch.ones(2, 3), **named).shape == (2, 3)
    assert module.sample(n=2, **named).shape == (2, 2, 3)


@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
@pytest.mark.parametrize("projection", [-1e4, -104.0, -88.0, -70.0, 0.0, 40.0, 1e4])
def test_parameters_get_finite_gradients_from_extreme_projections(
    case, activation: str, projection: float
) -> None:
    """A saturated activation under a hundred million reads sends no NaN to the weights."""
    module = case.build(activation=activation)
    with torch.no_grad():
        module.layer_means.bias.fill_(projection)
    counts = torch.tensor([[0.0, 1.0, 1e8]] * 2)
    module.nll(counts, module(torch.randn(2, 4)), torch.tensor([1.0, 100.0])).sum().backward()
    for parameter in module.parameters():
        assert torch.isfinite(parameter.grad).all()


def test_loss_reaches_every_parameter(case) -> None:
    """One step down the gradient from a random start lowers the loss and moves all parameters."""
    module = case.build(2, 5)
    counts, factors, x = torch.randint(0, 9, (8, 5)), torch.full((8,), 4.0), torch.randn(8, 2)

    def loss() -> Tensor:
        outputs = module(x)
        return module.loss(counts, *(outputs if case.predicts_r else (outputs,)), factors).sum()

    before = loss()
    before.backward()
    assert all((parameter.grad != 0).any() for parameter in module.parameters())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter -= 1e-3 * parameter.grad
    assert loss() < before


def test_state_dict_round_trip(case) -> None:
    """Another module of the class takes the state and predicts the same."""
    first, second, x = case.build(), case.build(), torch.randn(6, 4)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.normal_()
    second.load_state_dict(first.state_dict())
    for a, b in zip(first(x), second(x), strict=True):
        assert torch.equal(a, b)
    log_r = [module.log_r_of(module(x)) for module in (first, second)]
    assert log_r == [None, None] or torch.equal(*log_r)


def test_a_class_says_whether_it_predicts_r(case) -> None:
    """Then `forward` returns ln r beside the means; by default it does not."""
    assert case.cls.predicts_r is case.predicts_r
    assert isinstance(case.build()(torch.zeros(2, 4)), tuple) is case.predicts_r
    assert OutputModule.predicts_r is False
