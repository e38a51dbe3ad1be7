# SPDX-License-Identifier: BSD-3-Clause
"""Flags of a fit: their thresholds, what raises them, and that each sample's are its own."""

from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from scipy import stats

from pydgd.data import AlignedCounts
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.inference import ClosestNormal, closest_normal
from pydgd.inference.flags import FitFlags, Limit, deviances
from pydgd.inference.neighbours import TrainingSamples

from .test_closest_normal import MODULES, query, rows
from .test_fit_reference import reference_of

NEED_REFERENCE = ["dgd_nll_percentile", "dgd_misfit", "dgd_ood_score", "dgd_close_normal"]


def training_of(made, n: int = 60) -> TrainingSamples:
    """Training samples as the prior has them."""
    z = made.model.prior.sample(n, generator=torch.Generator().manual_seed(9))
    return TrainingSamples(made.model.prior, z, ["liver", "kidney"] * (n // 2))


def split(made) -> tuple[AlignedCounts, AlignedCounts]:
    """Healthy samples that training did not see, and a query of six more."""
    everyone = query(made)
    n = len(everyone.sample_names)
    return rows(everyone, list(range(n - 6))), rows(everyone, list(range(n - 6, n)))


def flags_of(made) -> tuple[FitFlags, AlignedCounts]:
    """Flags with a reference of 12 samples, and a query."""
    held_out, rest = split(made)
    training = training_of(made)
    return FitFlags(training, reference_of(made.model, held_out, training)), rest


def rows_of_normal(normal: ClosestNormal, index: list[int]) -> ClosestNormal:
    """Some samples of it."""
    return replace(
        normal,
        sample_names=tuple(normal.sample_names[i] for i in index),
        representations=normal.representations[index],
        means=normal.means[index],
        scaling_factors=normal.scaling_factors[index],
        component=normal.component[index],
        r=normal.r[index] if normal.r is not None and normal.r.ndim == 2 else normal.r,
        fit=normal.fit.iloc[index],
    )


# Odeh & Owen (1980), one-sided tolerance factors for 99 % of a normal population with 95 % confidence.
@pytest.mark.parametrize(("n", "factor"), [(5, 5.741), (10, 3.981), (20, 3.295), (50, 2.862)])
def test_limit_is_the_tolerance_limit_of_logarithms(n: int, factor: float) -> None:
    """The published factor, on a log scale; scores run from 0 to 1 between centre and threshold."""
    values = np.random.default_rng(n).lognormal(2, 0.5, n)
    limit, logs = Limit.of(values, share=0.01), np.log(values)
    assert (np.log(limit.threshold) - logs.mean()) / logs.std(ddof=1) == pytest.approx(factor, abs=2e-3)
    ends = np.array([np.exp(logs.mean()), limit.threshold])
    np.testing.assert_allclose(limit.scores(ends), [0, 1], atol=1e-12)


@pytest.mark.parametrize("n", [5, 20, 60])
def test_limit_keeps_its_promise(n: int) -> None:
    """Of 2,000 references 5 % have a limit beyond which more than 1 % of the population lies."""
    rng = np.random.default_rng(0)
    broken = [
        stats.lognorm.sf(Limit.of(rng.lognormal(size=n), share=0.01).threshold, 1) > 0.01 for _ in range(2000)
    ]
    assert np.mean(broken) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2000))


def test_score_of_nothing_is_low_rather_than_an_error() -> None:
    """A distance of 0 has no logarithm."""
    limit = Limit.of(np.array([1.0, 2, 3, 4, 5]), share=0.01)
    assert limit.scores(np.array([0.0]))[0] < -10


@pytest.mark.parametrize("name", MODULES)
def test_deviance_is_twice_the_distance_to_the_saturated_model(problem, name: str) -> None:
    """SciPy's masses at the mean and at the count itself; genes that are not measured are left out."""
    made = problem(name, share_measured=0.6, reads=2e4)
    normal = closest_normal(made.model, query(made))
    found = deviances(query(made).counts, normal.measured, normal.means, normal.r)
    k, mu = (values[:, normal.measured].astype(float) for values in (query(made).counts, normal.means))
    if normal.r is None:
        masses = [stats.poisson.logpmf(k, np.maximum(mean, 1e-300)) for mean in (k, mu)]
    else:
        r = np.broadcast_to(normal.r, normal.means.shape)[:, normal.measured]
        masses = [stats.nbinom.logpmf(k, r, r / (r + mean)) for mean in (k, mu)]
    expected = 2 * (masses[0] - masses[1]).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", MODULES)
def test_flags_are_the_same_to_the_bit_in_any_company(problem, name: str) -> None:
    """Alone or with others, in any order; r may be each gene's, each sample's and gene's, or none."""
    made = problem(name, n_genes=103, n_samples=18)
    flags, rest = flags_of(made)
    plain = closest_normal(made.model, rest)
    whole = flags.flagged(plain, rest).fit
    assert whole["dgd_close_normal"].notna().all()
    for order in ([4, 0, 2], [3]):
        company = flags.flagged(rows_of_normal(plain, order), rows(rest, order)).fit
        pd.testing.assert_frame_equal(company, whole.iloc[order], check_exact=True)


def test_healthy_samples_have_a_close_normal_and_others_not(problem) -> None:
    """Counts that belong to other genes cannot be reached: misfit and percentile say so."""
    made = problem(n_samples=18, n_genes=100)
    flags, rest = flags_of(made)
    healthy = closest_normal(made.model, rest, flags=flags).fit
    order = np.random.default_rng(0).permutation(rest.counts.shape[1])
    other = closest_normal(made.model, replace(rest, counts=rest.counts[:, order]), flags=flags).fit
    assert healthy["dgd_close_normal"].all()
    assert healthy["dgd_ood_score"].max() <= 1 < other["dgd_ood_score"].min()
    assert not other["dgd_close_normal"].any()
    assert (other["dgd_nll_percentile"] == 100).all()


def test_what_can_be_reached_but_where_no_training_sample_is_is_far(problem) -> None:
    """No misfit tells it, so the distance must: training samples of one component, a query of another."""
    made = problem(n_samples=40, n_genes=100)
    prior = made.model.prior
    everyone = prior.sample(300, generator=torch.Generator().manual_seed(9))
    component = prior.predict(made.z.float())
    common = int(component.mode().values)
    training = TrainingSamples(prior, everyone[prior.predict(everyone) == common])
    held_out = rows(query(made), torch.nonzero(component == common).flatten().tolist())
    flags = FitFlags(training, reference_of(made.model, held_out, training))
    rest = rows(query(made), torch.nonzero(component != common).flatten().tolist())
    fit = closest_normal(made.model, rest, flags=flags).fit
    assert flags.limits is not None
    assert (flags.limits[0].scores(fit["dgd_misfit"].to_numpy()) < 1).all()
    assert fit["dgd_close_normal"].mean() < 0.2


def test_percentile_counts_the_held_out_samples_below(problem) -> None:
    """A held-out sample meets itself at its own rank."""
    made = problem(n_samples=18)
    held_out, _ = split(made)
    training = training_of(made)
    reference = reference_of(made.model, held_out, training)
    assert reference is not None
    fit = closest_normal(made.model, held_out, flags=FitFlags(training, reference)).fit
    ranks = stats.rankdata(fit["dgd_nll"]) - 1
    # Half a rank either way: likelihoods of training and of tests are summed by different routines.
    np.testing.assert_allclose(fit["dgd_nll_percentile"], 100 * ranks / 12, atol=100 / 12)


@pytest.mark.parametrize("share", [0.6, 0.2])
def test_missing_genes_raise_no_alarm(problem, share: float) -> None:
    """The reference is read at the same genes."""
    made = problem(n_samples=18, n_genes=400)
    flags, rest = flags_of(made)
    measured = np.random.default_rng(1).random(400) < share
    part = replace(rest, measured=measured, counts=np.where(measured, rest.counts, np.float32(0)))
    fit = closest_normal(made.model, part, flags=flags).fit
    assert fit["dgd_close_normal"].all()
    assert 0.3 < fit["dgd_misfit"].median() < 2


def test_without_reference_flags_are_missing(problem) -> None:
    """Rather than wrong; what needs no reference is there."""
    made = problem()
    fit = closest_normal(made.model, query(made), flags=FitFlags(training_of(made), None)).fit
    assert fit[NEED_REFERENCE].isna().all(axis=None)
    assert fit["dgd_close_normal"].dtype == "boolean"
    assert (fit["dgd_distance"] > 0).all()
    assert (
        fit["dgd_nearest_components"].str.fullmatch(r"(kidney|liver) 0\.\d\d, (kidney|liver) 0\.\d\d").all()
    )


@pytest.mark.parametrize("with_reference", [True, False])
def test_flags_survive_the_file(problem, tmp_path: Path, with_reference: bool) -> None:
    """As yes, no and not known."""
    made = problem(n_samples=18)
    flags, rest = flags_of(made) if with_reference else (FitFlags(training_of(made), None), split(made)[1])
    normal = closest_normal(made.model, rest, flags=flags)
    frame = pd.DataFrame(rest.counts, index=list(rest.sample_names), columns=list(rest.genes))
    write_h5ad(normal.to_anndata(AnnData(frame)), tmp_path / "normal.h5ad")
    obs = anndata.read_h5ad(tmp_path / "normal.h5ad").obs
    assert obs["dgd_close_normal"].dtype == "boolean"
    columns = [*NEED_REFERENCE, "dgd_distance"]
    pd.testing.assert_frame_equal(obs[columns], normal.fit[columns], check_exact=True)
    assert obs["dgd_nearest_components"].astype(str).tolist() == normal.fit["dgd_nearest_components"].tolist()
