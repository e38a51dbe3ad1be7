# SPDX-License-Identifier: BSD-3-Clause
"""The page as text: what is in it, what cannot be, and what is refused."""

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pydgd import DGD, calibration_report
from pydgd.errors import ConfigError, OutputError
from pydgd.report import write_report

from ..checkpoints.peer_files import write_peer_model
from .conftest import GENES, SAMPLES, Written, called
from .test_packing import unpacked


def data_of(path: Path) -> dict:
    text = path.read_text(encoding="utf-8")
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1)
    )


def test_the_numbers_are_those_of_the_table(written: Written) -> None:
    """Every column of every sample, by gene name."""
    data = data_of(written.path)
    assert [sample["name"] for sample in data["samples"]] == list(SAMPLES)
    for number, sample in enumerate(data["samples"]):
        table = written.of(number)
        assert data["genes"] == table["gene"].tolist()
        columns = dict(zip(data["columns"], unpacked(sample["numbers"], len(data["columns"])), strict=True))
        np.testing.assert_array_equal(columns["observed"], table["observed"])
        for name, rtol in (("baseMean", 2**-13), ("log2FoldChange", 2**-13), ("lfcSE", 2**-10)):
            np.testing.assert_allclose(columns[name], table[name], rtol=rtol * 1.01)
        np.testing.assert_allclose(columns["log10_pvalue"], table["log_pvalue"] / np.log(10), rtol=2**-15)
        np.testing.assert_allclose(columns["log10_padj"], np.log10(table["padj"]), rtol=2**-15, atol=1e-12)


def test_the_list_of_samples_counts_calls(written: Written) -> None:
    """Without JavaScript, too."""
    text = written.path.read_text(encoding="utf-8")
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', text)
    for number, row in enumerate(rows):
        counted = tuple(int(cell) for cell in re.findall(r'<td class="number">(\d+)</td>', row)[-2:])
        assert counted == called(written.of(number), padj=0.05, log2fc=1.0)


def test_names_cannot_become_markup(written: Written) -> None:
    """Whatever they hold; the elements of the page are its own."""
    text = written.path.read_text(encoding="utf-8")
    for name in (*GENES, *SAMPLES, "Cases & <cases>", "<i>half</i>"):
        assert "<" not in name or name not in text
    assert text.count("<script") == text.count("</script>") == 2
    assert {GENES[0], GENES[4]} <= set(data_of(written.path)["genes"])


def test_the_policy_allows_this_script_and_style_alone(written: Written) -> None:
    """By their hashes, and nothing from the network."""
    text = written.path.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "unsafe" not in policy
    for kind, pattern in (("script", r"<script>(.*?)</script>"), ("style", r"<style>(.*?)</style>")):
        inline = re.search(pattern, text, re.S).group(1)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_nothing_names_a_training_sample(written: Written) -> None:
    """A page is passed on; the names of a cohort's healthy donors are not."""
    text = written.path.read_text(encoding="utf-8")
    assert not [name for name in written.model.record.sample_names if name in text]
    assert len(data_of(written.path)["map"]["healthy"]) == len(written.model.record.sample_names)


def test_the_same_input_gives_the_same_bytes_and_a_sample_its_own(written: Written, tmp_path: Path) -> None:
    """Whatever its company."""
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    for path in (first, second):
        write_report(written.model, written.counts[:2], path)
    assert first.read_bytes() == second.read_bytes()
    alone, together = data_of(first)["samples"][1], data_of(written.path)["samples"][1]
    assert alone["numbers"] == together["numbers"]


def test_provenance_names_model_counts_and_seed(written: Written, tmp_path: Path) -> None:
    """Counts have a hash of their own: another read, another hash."""
    text = written.path.read_text(encoding="utf-8")
    assert written.model.provenance["sha256"] in text
    assert "<dt>training seed</dt><dd>0</dd>" in text
    other = written.counts.copy()
    other.X[0, 0] += 1
    write_report(written.model, other, tmp_path / "other.html")
    hashes = [
        re.search(r"counts, SHA-256</dt><dd>([0-9a-f]{64})<", path.read_text(encoding="utf-8")).group(1)
        for path in (written.path, tmp_path / "other.html")
    ]
    assert hashes[0] != hashes[1]


def test_a_calibration_report_is_shown(written: Written, tmp_path: Path) -> None:
    """Its numbers, beside what they are of."""
    report = calibration_report(written.model, written.counts)
    write_report(written.model, written.counts, tmp_path / "r.html", calibration=report)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "They were checked on 3 further healthy samples" in text
    assert "<td>size over level</td>" in text
    assert "was not measured" not in text


@pytest.mark.parametrize("with_samples", [False, True])
def test_an_imported_model_says_where_it_comes_from(tmp_path: Path, with_samples: bool) -> None:
    """Without seed or calibration; where there are no training samples, the mixture makes the map."""
    model = DGD.from_bulkdgd(write_peer_model(tmp_path))
    if with_samples:
        z = np.random.default_rng(0).normal(size=(6, 3))
        table = pd.DataFrame(z, list("abcdef"), [f"latent_dim_{d}" for d in (1, 2, 3)])
        table.to_csv(tmp_path / "z.csv")
        model = DGD.from_bulkdgd(tmp_path, representations=tmp_path / "z.csv")
    counts = pd.DataFrame(np.full((2, len(model.genes)), 40), ["S1", "S2"], list(model.genes))
    write_report(model, counts, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<dt>trained</dt><dd>by bulkdgd 2, imported</dd>" in text
    assert "training seed" not in text
    assert "trained by bulkdgd 2, which calibrates none" in text
    map_ = data_of(tmp_path / "r.html")["map"]
    assert len(map_["healthy"]) == (6 if with_samples else model.record.model.prior.n_components)
    assert map_["styles"][0][0] == ("healthy" if with_samples else "component of the mixture")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"padj": 1.5}, "padj is 1.5"),
        ({"log2fc": -1.0}, "log2fc is -1.0"),
        ({"padj_below": 0.1}, "padj_below would leave genes out"),
        ({"point": "mean"}, "point must be one of"),
    ],
)
def test_what_makes_no_sense_is_an_error(written: Written, tmp_path: Path, options, words) -> None:
    """Before the search, and no file is left."""
    with pytest.raises(ConfigError, match=words):
        write_report(written.model, written.counts, tmp_path / "r.html", **options)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_an_error(written: Written, tmp_path: Path) -> None:
    """Before the search."""
    with pytest.raises(OutputError, match="does not exist"):
        write_report(written.model, written.counts, tmp_path / "none" / "r.html")
