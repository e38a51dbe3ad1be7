# SPDX-License-Identifier: BSD-3-Clause
"""The report page and the plots: how long they take, how large the page is, how fast it answers.

    python benchmarks/report.py [--quick]

Needs ``../shared``, Debian's chromium and chromium-driver, and selenium. A small model of its normals is
trained for a few epochs, as only its size matters; 30 tumours are reported, and the page is opened in
headless Chromium. Times of Python are the processor's, all threads together, so that other programs do not
count; those of the browser are what its user waits. The quick run reports 4 tumours of 3,000 genes.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pandas as pd
from anndata import read_h5ad
from matplotlib.figure import Figure
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

from _figures import Figures
from _heldout import SHARED
from pydgd import DGD, pl
from pydgd.report import write_report

N_SAMPLES, N_SAMPLES_QUICK, N_GENES_QUICK = 30, 4, 3_000
SIZE = {"latent_dim": 16, "n_units_hidden_layers": [64, 128], "epochs": 3, "seed": 0}
N_MANY, N_GENES_OF_MANY, N_GENES_OF_HEATMAP, N_SETS = 10_000, 200, 2_000, 50
SECONDS = "<= 60"

# From typing a letter until the result has been painted.
SEARCH = """
const [text, done] = arguments, field = document.getElementById("search"), start = performance.now();
field.value = text;
field.dispatchEvent(new Event("input"));
requestAnimationFrame(() => requestAnimationFrame(() =>
  done([performance.now() - start, document.querySelectorAll("#genes tbody tr").length])));
"""


def page_of_tumours(figures, quick):
    """Write the page of some tumours and use it."""
    normals, tumours = (read_h5ad(SHARED / "data" / f"{name}.h5ad") for name in ("normals", "tumours"))
    normals = normals[normals.obs["split"] == "train"]
    n = N_SAMPLES_QUICK if quick else N_SAMPLES
    tumours = tumours[np.linspace(0, tumours.n_obs - 1, n).astype(int)]
    if quick:
        normals, tumours = (adata[:, :N_GENES_QUICK] for adata in (normals, tumours))
    model = DGD.fit(normals, **SIZE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        wall, processor = perf_counter(), process_time()
        write_report(model, tumours, path)
        processor, wall = process_time() - processor, perf_counter() - wall
        what = f"{n} samples x {len(model.genes):,} genes"
        figures.add(f"report, {what}: processor s", processor, SECONDS, processor <= 60)
        figures.add(f"report, {what}: wall s", wall)
        size = path.stat().st_size / 1e6
        figures.add(f"report, {what}: MB", size, "<= 15", size <= 15)
        in_chromium(figures, path, model.genes)


def in_chromium(figures, path, genes):
    """Open the page, search it, and choose another sample."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        start = perf_counter()
        driver.get(path.as_uri())
        WebDriverWait(driver, 60, 0.01).until(
            lambda d: d.execute_script("return document.body.dataset.ready")
        )
        figures.add("page in Chromium: s until the first sample is shown", perf_counter() - start)
        answers = [driver.execute_async_script(SEARCH, text) for text in ("", "A", genes[-1], "no such gene")]
        assert [rows > 0 for _, rows in answers] == [True, True, True, False], answers
        slowest = max(ms for ms, _ in answers) / 1000
        figures.add(
            "page in Chromium: s until a search is painted, slowest of 4", slowest, "<= 1", slowest <= 1
        )
        complaints = [entry["message"] for entry in driver.get_log("browser")]
        figures.add("page in Chromium: messages in the console", len(complaints), "0", not complaints)
    finally:
        driver.quit()


def plots_of_many_samples(figures, quick):  # noqa: ARG001  # seconds in any case
    """Draw each plot that many samples go into, as a PNG."""
    for name, draw in plots(np.random.default_rng(0)).items():
        wall, processor = perf_counter(), process_time()
        figure = Figure(figsize=(7.5, 5.5), layout="constrained")
        draw(figure.subplots())
        with tempfile.TemporaryFile() as file:
            figure.savefig(file, dpi=150)
        processor, wall = process_time() - processor, perf_counter() - wall
        figures.add(f"plot of {N_MANY:,} samples, {name}: processor s", processor, "<= 5", processor <= 5)
        figures.add(f"plot of {N_MANY:,} samples, {name}: wall s", wall)


def plots(rng):
    """Plots of simulated numbers, by name; what is drawn takes the same time as real ones."""
    samples = [f"S{i}" for i in range(N_MANY)]
    z = pd.DataFrame(rng.normal(size=(N_MANY, 32)), samples)
    tissues, queries = [f"tissue {i % 30}" for i in range(N_MANY)], z.iloc[:1_000]
    wide = pd.DataFrame(rng.normal(size=(N_MANY, N_GENES_OF_HEATMAP)), samples)
    long = tests(rng, samples)
    sets = pd.DataFrame(
        {
            "sample": np.repeat(samples, N_SETS),
            "gene_set": np.tile([f"set {i}" for i in range(N_SETS)], N_MANY),
            "padj": rng.uniform(size=N_MANY * N_SETS),
        }
    )
    return {
        "latent map by tissue": lambda ax: pl.latent_map(z, labels=tissues, queries=queries, ax=ax),
        "latent map by a number": lambda ax: pl.latent_map(z, labels=z[0], ax=ax),
        "residual heatmap": lambda ax: pl.residual_heatmap(wide, ax=ax),
        "recurrence": lambda ax: pl.recurrence(long, ax=ax),
        "dispersion": lambda ax: pl.dispersion_mean(long, ax=ax),
        "volcano of one": lambda ax: pl.volcano(long, sample="S9999", ax=ax),
        "MA of one": lambda ax: pl.ma(long, sample="S9999", ax=ax),
        "observed and expected of one": lambda ax: pl.observed_expected(long, sample="S9999", ax=ax),
        "enrichment of one": lambda ax: pl.enrichment_bars(sets, sample="S9999", ax=ax),
        "r, a group per gene's 10,000 values": lambda ax: pl.r_values(
            wide.iloc[:, :8].abs(), kind="violin", ax=ax
        ),
    }


def tests(rng, samples):
    """A table of tests of all samples."""
    n = len(samples) * N_GENES_OF_MANY
    change = rng.normal(size=n) * 1.5
    log_p = -np.abs(change) * 5
    return pd.DataFrame(
        {
            "sample": pd.Categorical.from_codes(np.repeat(np.arange(len(samples)), N_GENES_OF_MANY), samples),
            "gene": pd.Categorical.from_codes(
                np.tile(np.arange(N_GENES_OF_MANY), len(samples)), [f"G{i}" for i in range(N_GENES_OF_MANY)]
            ),
            "observed": np.round(50 * 2**change),
            "baseMean": np.full(n, 50.0),
            "log2FoldChange": change,
            "padj": np.exp(log_p),
            "log_pvalue": log_p,
            "r": rng.lognormal(2.0, size=n),
        }
    )


MEASURES = (page_of_tumours, plots_of_many_samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    figures = Figures("report", quick)
    for measure in MEASURES:
        measure(figures, quick)
    return figures.finish()


if __name__ == "__main__":
    raise SystemExit(main())
