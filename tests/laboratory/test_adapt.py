# SPDX-License-Identifier: BSD-3-Clause
"""A model for another laboratory: nearer to its samples, honest, saved like any other."""

from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from pydgd import DGD, differential_expression
from pydgd.errors import ConfigError, TrainingError
from pydgd.laboratory import adapt


@pytest.fixture(scope="module")
def adapted(model: DGD, elsewhere: AnnData) -> DGD:
    """By twenty of the other laboratory's samples."""
    return adapt(model, elsewhere[:80:4])


def _log_errors(model: DGD, query: AnnData) -> float:
    """Median size of ln(observed / expected) of the brighter half of the genes."""
    x = np.asarray(query[:, list(model.genes)].X, dtype=float)
    ratio = np.log((x + 1) / (model.closest_normal(query, point="map").means + 1))
    return float(np.median(np.abs(ratio[:, x.mean(axis=0) > np.median(x.mean(axis=0))])))


def test_samples_of_the_other_laboratory_fit_better(model: DGD, adapted: DGD, elsewhere: AnnData) -> None:
    """Those that gave no offsets, be it by three or by twenty that did."""
    rest = elsewhere[2::4].copy()
    before = _log_errors(model, rest)
    assert _log_errors(adapt(model, elsewhere[:90:30]), rest) < 0.75 * before
    assert _log_errors(adapted, rest) < 0.75 * before


def test_offsets_are_those_of_the_laboratory(
    model: DGD, adapted: DGD, elsewhere: AnnData, factors: np.ndarray
) -> None:
    """Up to what the representation takes up and the scaling factor takes out."""
    before, after = (m.record.model.decoder.output_module.layer_means.bias for m in (model, adapted))
    columns = elsewhere.var_names.get_indexer(list(model.genes))
    assert np.corrcoef((after - before).numpy(), np.log(factors[columns]))[0, 1] > 0.85


def test_the_own_laboratory_needs_no_offsets(model: DGD, normals: AnnData) -> None:
    """Other samples of the first laboratory move little: what nine samples differ by is taken for chance."""
    some = normals[1:180:20].copy()
    adapted = adapt(model, some, healthy=False)
    before, after = (m.record.model.decoder.output_module.layer_means.bias for m in (model, adapted))
    reads = np.asarray(some[:, list(model.genes)].X, dtype=float).sum(axis=0)
    plain = np.log((reads + 1) / model.closest_normal(some, point="map").means.sum(axis=0))
    assert float((after - before).std()) < plain.std() / 4


def test_planted_changes_are_found_again(model: DGD, adapted: DGD, elsewhere: AnnData) -> None:
    """More of them at a false discovery rate of 5 %, and p-values of the others hold."""
    query = elsewhere[1::4].copy()
    changed = np.asarray(query.X, dtype=float)
    truth = np.zeros(changed.shape, dtype=bool)
    truth[:, 7::50] = changed[:, 7::50] >= 20
    changed[truth] *= 8
    query.X = changed.astype(np.float32)
    found = {}
    for name, used in (("before", model), ("after", adapted)):
        table = differential_expression(query, used.closest_normal(query))
        p, padj = (table[c].to_numpy().reshape(query.n_obs, -1) for c in ("pvalue", "padj"))
        columns = query.var_names.get_indexer(list(used.genes))
        hit = truth[:, columns]
        found[name] = (padj[hit] < 0.05).mean(), (p[~hit] < 0.05).mean()
    assert found["after"][0] > found["before"][0] + 0.1
    assert found["after"][1] == pytest.approx(0.05, abs=0.03)


def test_an_adapted_model_is_saved_like_any_other(model: DGD, elsewhere: AnnData, tmp_path: Path) -> None:
    """And says what it came from; the order of the reference does not matter."""
    adapted = adapt(model, elsewhere[:12])
    adapted.save(tmp_path / "second.dgd")
    again, turned = DGD.load(tmp_path / "second.dgd"), adapt(model, elsewhere[:12][::-1])
    assert again.provenance["sha256"] == adapted.provenance["sha256"] == turned.provenance["sha256"]
    noted = again.provenance["adapted_to"]
    assert noted == {"n_samples": 12, "from_sha256": model.provenance["sha256"]}
    query = elsewhere[20:22].copy()
    np.testing.assert_array_equal(again.closest_normal(query).means, adapted.closest_normal(query).means)


def test_the_null_distribution_is_kept_of_few_or_unhealthy_samples(
    model: DGD, adapted: DGD, elsewhere: AnnData
) -> None:
    """Ten healthy ones give their own."""
    few, unhealthy = adapt(model, elsewhere[:36:4]), adapt(model, elsewhere[:80:4], healthy=False)
    limit, *kept, own = (
        made.record.calibration.misfit_limit  # type: ignore[union-attr]
        for made in (model, few, unhealthy, adapted)
    )
    assert kept == [limit, limit]
    assert own != limit


def test_genes_that_are_not_measured_have_no_offset(model: DGD, elsewhere: AnnData) -> None:
    """Half of the genes: the rest of the bias stays."""
    adapted = adapt(model, elsewhere[:12, ::2].copy(), min_shared=0.3)
    before, after = (m.record.model.decoder.output_module.layer_means.bias for m in (model, adapted))
    lost = ~np.isin(model.genes, elsewhere.var_names[::2])
    np.testing.assert_array_equal(after[lost], before[lost])
    assert float((after - before)[~lost].std()) > 0.3


def test_the_given_model_is_not_changed(model: DGD, elsewhere: AnnData) -> None:
    """Neither its weights nor its calibration."""
    before = model.record.model.decoder.output_module.layer_means.bias.clone()
    adapt(model, elsewhere[:12])
    np.testing.assert_array_equal(model.record.model.decoder.output_module.layer_means.bias, before)


def test_two_samples_are_refused(model: DGD, elsewhere: AnnData) -> None:
    """With the reason."""
    with pytest.raises(TrainingError, match="at least 3 of its samples, got 2"):
        adapt(model, elsewhere[:2])


def test_other_scaling_rules_are_refused(normals: AnnData, elsewhere: AnnData) -> None:
    """Their means are where softplus is a straight line."""
    model = DGD.fit(normals[::6].copy(), latent_dim=2, epochs=2, validation=0.0, scaling="mean")
    with pytest.raises(ConfigError, match="scaling='total'"):
        adapt(model, elsewhere[:5])
