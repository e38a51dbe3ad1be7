# SPDX-License-Identifier: BSD-3-Clause
"""Samples and genes with names that would break a careless page, and a browser to open it in."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from pydgd import DGD, differential_expression
from pydgd.data import simulate_cohort
from pydgd.report import write_report

GENES = (
    "</script><script>alert(1)</script>",
    "=HYPERLINK(1)",
    "-MINUS",
    'say "x", y',
    "<img src=x onerror=alert(2)>",
)
SAMPLES = ("<b>T1</b>", "=T2", "plain")


@dataclass(frozen=True)
class Written:
    """A page, and what it is about."""

    path: Path
    model: DGD
    counts: AnnData
    table: pd.DataFrame

    def of(self, sample: int) -> pd.DataFrame:
        return self.table[self.table["sample"] == SAMPLES[sample]].reset_index(drop=True)


@pytest.fixture(scope="session")
def job() -> tuple[DGD, AnnData]:
    """A small model and three cases: two changed, one not."""
    cohort = simulate_cohort(n_tissues=2, n_per_tissue=20, n_genes=150, n_changed=2, n_unchanged=1, seed=3)
    normals, cases = cohort.normals, cohort.cases
    names = [*GENES, *normals.var_names[len(GENES) :]]
    normals.var_names, cases.var_names = names, names
    cases.obs_names = list(SAMPLES)
    return DGD.fit(normals, latent_dim=4, epochs=5), cases


@pytest.fixture(scope="session")
def written(job: tuple[DGD, AnnData], tmp_path_factory: pytest.TempPathFactory) -> Written:
    model, cases = job
    path = tmp_path_factory.mktemp("report") / "report.html"
    sets = {"<i>half</i>": list(cases.var_names[:75]), "other": list(cases.var_names[75:])}
    write_report(model, cases, path, title="Cases & <cases>", gene_sets=sets)
    return Written(path, model, cases, differential_expression(cases, model.closest_normal(cases)))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Page"]:
    """Headless Chromium."""
    with Page(tmp_path_factory.mktemp("downloads")) as opened:
        yield opened


@pytest.fixture
def page(browser: "Page", written: Written) -> "Page":
    """The page, freshly opened."""
    browser.complaints(), browser.requests()
    browser.open(written.path)
    return browser


class Page:
    """A browser with one page; what it downloads goes into a folder."""

    def __init__(self, downloads: Path, *, width: int = 1200) -> None:
        self.downloads, self.width = downloads, width

    def __enter__(self) -> "Page":
        _need_browser()
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        # No sandbox: containers that run tests as root have none.
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--window-size={self.width},900",
        ):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": str(self.downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()

    def open(self, path: Path) -> None:
        from selenium.webdriver.support.wait import WebDriverWait

        self.driver.get(path.as_uri())
        WebDriverWait(self.driver, 30).until(lambda d: d.execute_script("return document.body.dataset.ready"))

    def find(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return self.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
        )

    def enter(self, selector: str, text: str) -> None:
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def complaints(self) -> list[str]:
        """What the console says."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]


def _need_browser() -> None:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    try:
        import selenium  # noqa: F401
    except ImportError:
        missing.append("selenium")
    if not missing:
        return
    message = f"needs {', '.join(missing)} (Debian: chromium chromium-driver; Python: selenium)"
    if os.environ.get("PYDGD_REQUIRE_BROWSER") == "1":
        pytest.fail(message)
    pytest.skip(message)


def called(table: pd.DataFrame, *, padj: float, log2fc: float) -> tuple[int, int]:
    """Numbers of genes up and down."""
    passing = table["padj"].to_numpy() < padj
    change = table["log2FoldChange"].to_numpy()
    return int(np.sum(passing & (change >= log2fc))), int(np.sum(passing & (change <= -log2fc)))
