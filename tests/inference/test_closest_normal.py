# SPDX-License-Identifier: BSD-3-Clause
"""The closest normal of labelled counts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pydgd.data import AlignedCounts
from pydgd.errors import CountsError
from pydgd.inference import ClosestNormal, closest_normal

MODULES = ["nb_feature_dispersion", "nb_full_dispersion", "poisson"]
KINDS = [(name, widths) for name in MODULES for widths in ((), (12,))]
kinds = pytest.mark.parametrize(("name", "widths"), KINDS)


def query(made, *, dtype: type = np.float32) -> AlignedCounts:
    """A problem's counts with names."""
    counts = made.counts.numpy().astype(dtype)
    counts[:, ~made.measured.numpy()] = 0
    return AlignedCounts(
        counts=counts,
        measured=made.measured.numpy(),
        sample_names=tuple(f"s{i}" for i in range(len(counts))),
        genes=made.model.genes,
        n_dropped=0,
    )


def rows(aligned: AlignedCounts, index: list[int]) -> AlignedCounts:
    """Some samples of it."""
    names = tuple(aligned.sample_names[i] for i in index)
    return replace(aligned, counts=aligned.counts[index], sample_names=names)


def arrays(normal: ClosestNormal) -> dict[str, np.ndarray]:
    """What there is per sample."""
    per_sample = ("representations", "means", "scaling_factors", "component")
    found = {name: getattr(normal, name) for name in per_sample}
    found |= {name: column.to_numpy() for name, column in normal.fit.items()}
    if normal.r is not None and normal.r.ndim == 2:
        found["r"] = normal.r
    return found


@kinds
def test_means_and_r_are_the_decoders(problem, name: str, widths: tuple[int, ...]) -> None:
    """mu = s · m of the decoder at z, and r in the shape of the output module."""
    made = problem(name, widths=widths)
    normal = closest_normal(made.model, query(made))
    outputs = made.model.decoder(torch.tensor(normal.representations).float())
    module = made.model.decoder.output_module
    means = module.means_of(outputs).numpy() * normal.scaling_factors[:, None]
    np.testing.assert_allclose(normal.means, means, rtol=1e-5)
    log_r = module.log_r_of(outputs)
    if log_r is None:
        assert normal.r is None
    else:
        expected = log_r.double().exp().numpy()
        np.testing.assert_allclose(
            normal.r, expected[0] if name == "nb_feature_dispersion" else expected, rtol=1e-5
        )


@kinds
@pytest.mark.parametrize("n_samples", [1, 2])
def test_shapes_for_few_samples(problem, name: str, widths: tuple[int, ...], n_samples: int) -> None:
    """One sample is no special case, also for an r per sample."""
    made = problem(name, widths=widths, n_samples=n_samples)
    normal = closest_normal(made.model, query(made))
    shape = (n_samples, 200)
    assert normal.means.shape == shape
    shape_of_r = {"nb_feature_dispersion": (200,), "nb_full_dispersion": shape, "poisson": None}[name]
    assert (None if normal.r is None else normal.r.shape) == shape_of_r
    assert len(normal.fit) == len(normal.component) == n_samples


@kinds
def test_everything_is_the_same_to_the_bit_in_any_company(
    problem, name: str, widths: tuple[int, ...]
) -> None:
    """Alone or with others, in any order, next to a sample of more reads than float32 counts exactly."""
    made = problem(name, widths=widths, n_genes=103, n_samples=11)
    aligned = query(made)
    together = arrays(closest_normal(made.model, aligned))
    order = [7, 2, 10, 0]
    beside = rows(aligned, order)
    deep = np.concatenate([beside.counts.astype(np.float64), beside.counts[:1] * 1e4 + 2**24 + 1])
    beside = replace(beside, counts=deep, sample_names=(*beside.sample_names, "deep"))
    mixed, alone = (arrays(closest_normal(made.model, one)) for one in (beside, rows(aligned, [7])))
    for key, values in together.items():
        assert values[order].tobytes() == mixed[key][: len(order)].tobytes(), key
        assert values[[7]].tobytes() == alone[key].tobytes(), key
    assert all(np.isfinite(values).all() for values in mixed.values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "widths"), KINDS[::5])
def test_counts_of_either_precision(problem, name: str, widths: tuple[int, ...], dtype: type) -> None:
    """float64 counts, as alignment gives them beyond 2**24 reads, meet a float32 model."""
    made = problem(name, widths=widths, reads=1e9)
    normal = closest_normal(made.model, query(made, dtype=dtype))
    assert all(np.isfinite(values).all() for values in arrays(normal).values())
    # 1e9 Poisson reads ask for more digits than float32 means have; the flag may then say so.
    assert name == "poisson" or normal.fit["dgd_converged"].all()


@kinds
def test_sample_with_few_reads_is_finite(problem, name: str, widths: tuple[int, ...]) -> None:
    """One read in all: an answer near the prior's, with a likelihood and a certificate."""
    made = problem(name, widths=widths, n_samples=3)
    made.counts[0] = 0
    made.counts[0, 4] = 1
    normal = closest_normal(made.model, query(made))
    assert all(np.isfinite(values).all() for values in arrays(normal).values())
    assert normal.fit["dgd_converged"].all()


def test_sample_without_reads_is_refused(problem) -> None:
    """Also where its only reads are of genes that the model lacks; the message names it."""
    made = problem(share_measured=0.5)
    made.counts[2, made.measured] = 0
    with pytest.raises(CountsError, match="'s2'"):
        closest_normal(made.model, query(made))


@kinds
def test_unmeasured_genes_get_expected_counts(problem, name: str, widths: tuple[int, ...]) -> None:
    """The model predicts them; their share of the depth is in the scaling factor."""
    whole = problem(name, widths=widths, reads=2e6)
    part = problem(name, widths=widths, reads=2e6, share_measured=0.5)
    full, half = (closest_normal(made.model, query(made)) for made in (whole, part))
    assert (half.means > 0).all()
    hidden = ~half.measured
    close = np.abs(np.log(half.means[:, hidden] / full.means[:, hidden]))
    assert np.median(close) < 0.5
    assert half.fit["dgd_measured_share"].tolist() == [half.measured.mean()] * 6


def test_fit_table_says_how_well_each_sample_fits(problem) -> None:
    """Columns, names and units: nats in all and per measured gene."""
    made = problem(share_measured=0.5)
    normal = closest_normal(made.model, query(made), provenance={"model_sha256": "abc"})
    assert normal.fit.index.tolist() == [f"s{i}" for i in range(6)]
    expected = made.objective().nll(torch.tensor(normal.representations)).numpy()
    # The scaling factors are fitted anew, by the share of the profile that was measured.
    assert np.corrcoef(normal.fit["dgd_nll"], expected)[0, 1] > 0.9
    np.testing.assert_allclose(normal.fit["dgd_nll_per_gene"], normal.fit["dgd_nll"] / normal.measured.sum())
    assert normal.fit["dgd_component"].tolist() == normal.component.tolist()
    assert (normal.fit["dgd_converged"] == (normal.fit["dgd_newton_decrement"] < 0.01)).all()
    assert normal.fit["dgd_scaling_factor"].tolist() == normal.scaling_factors.tolist()
    asked = {"point": "map", "likelihood": "plain", "scaling": "model"}
    assert normal.provenance == {"model_sha256": "abc", **asked}


def test_a_planted_change_leaves_the_expected_counts_alone(problem) -> None:
    """Eightfold reads of 1 % of the genes move the closest normal of the others by less than their noise."""
    made = problem(n_genes=1000, reads=2e6)
    before = closest_normal(made.model, query(made))
    changed = slice(0, 1000, 100)
    made.counts[:, changed] *= 8
    after = closest_normal(made.model, query(made))
    shift = np.abs(np.log(after.means / before.means))
    assert np.median(shift) < 0.2
    assert np.median(before.means[:, changed] / after.means[:, changed]) > 0.7


def test_query_is_not_changed(problem) -> None:
    """The caller's counts stay as they were."""
    aligned = query(problem())
    before = aligned.counts.copy()
    closest_normal(problem().model, aligned)
    assert np.array_equal(aligned.counts, before)


def test_progress_reaches_the_number_of_samples(problem) -> None:
    """For a progress bar."""
    made, calls = problem(n_samples=20), []
    closest_normal(made.model, query(made), progress=lambda done, n: calls.append((done, n)))
    assert calls[-1] == (20, 20)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
