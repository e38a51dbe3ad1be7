# SPDX-License-Identifier: BSD-3-Clause
"""The page as its reader uses it, in headless Chromium."""

import csv
import time
from pathlib import Path

import numpy as np
import pytest

from .conftest import GENES, SAMPLES, Page, Written, called

pytestmark = pytest.mark.slow

N_COLUMNS = 7


def numbers(page: Page, column: int) -> list[float]:
    cells = page.texts(f"#genes tbody tr > :nth-child({column + 1})")
    return [float(cell.replace(",", "")) for cell in cells]


def test_it_loads_in_silence_and_asks_for_nothing(page: Page, written: Written) -> None:
    """No message in the console, no request but the file itself, no name that became markup."""
    assert page.complaints() == []
    assert [url for url in page.requests() if not url.startswith("data:")] == [written.path.as_uri()]
    assert page.texts("#samples tbody button") == list(SAMPLES)
    assert page.texts("h1") == ["Cases & <cases>"]
    assert page.driver.execute_script("return document.querySelectorAll('b, main img, i').length") == 0


def test_the_first_sample_is_shown_with_its_verdict(page: Page, written: Written) -> None:
    """The first genes are those with the smallest p, with the numbers of the table."""
    assert page.find("#sample-title").text == SAMPLES[0]
    assert page.find("#headline").text
    assert len(page.texts("#details li")) >= 3
    genes = written.of(0).sort_values("log_pvalue", kind="stable").head(25)
    assert page.texts("#genes tbody th") == genes["gene"].tolist()
    np.testing.assert_allclose(numbers(page, 3), genes["log2FoldChange"], atol=0.0051)
    np.testing.assert_allclose(numbers(page, 5), genes["pvalue"], rtol=0.06)


def test_search_finds_genes_by_a_part_of_the_name(page: Page) -> None:
    """In either case, within a second; names of HTML are text."""
    start = time.perf_counter()
    page.enter("#search", "ScRiPt")
    assert page.texts("#genes tbody th") == [GENES[0]]
    assert time.perf_counter() - start < 1
    assert page.find("#count").text.startswith("1 of ")
    page.enter("#search", "no such gene")
    assert page.texts("#genes tbody th") == []


def test_headers_sort_by_mouse_and_by_key(page: Page) -> None:
    """Up first, then down; the header says which."""
    from selenium.webdriver.common.keys import Keys

    heads = page.driver.find_elements("css selector", "#genes thead th")
    assert heads[5].get_attribute("aria-sort") == "ascending"
    heads[3].find_element("css selector", "button").click()
    assert numbers(page, 3) == sorted(numbers(page, 3))
    heads[3].find_element("css selector", "button").send_keys(Keys.ENTER)
    assert numbers(page, 3) == sorted(numbers(page, 3), reverse=True)
    assert [head.get_attribute("aria-sort") for head in heads] == [None] * 3 + ["descending"] + [None] * 3
    heads[0].find_element("css selector", "button").click()
    names = page.texts("#genes tbody th")
    assert names == sorted(names, key=str.lower)


def test_thresholds_decide_what_is_called(page: Page, written: Written) -> None:
    """The counts are those of the table, for fields and sliders; the filter follows."""
    from selenium.webdriver.common.keys import Keys

    for padj, log2fc in ((0.05, 1.0), (0.5, 0.0), (1e-6, 2.0)):
        page.enter("#padj", f"{padj:g}")
        page.enter("#log2fc", f"{log2fc:g}")
        up, down = called(written.of(0), padj=padj, log2fc=log2fc)
        assert page.find("#calls").text == f"{up} genes up, {down} down"
    page.find("#show option[value=up]").click()
    assert page.find("#count").text.startswith(f"{up} of")
    page.find("#padj-slider").send_keys(Keys.END)
    assert page.find("#padj").get_attribute("value") == "1"


def test_the_download_holds_the_genes_that_are_shown(page: Page, written: Written) -> None:
    """All numbers to 3 digits and more; no name that a spreadsheet would run."""
    page.find("#download").click()
    rows = downloaded(page.downloads)
    expected = written.of(0).sort_values("log_pvalue", kind="stable")
    assert len(rows) == len(expected)
    assert {row["sample"] for row in rows} == {SAMPLES[0]}
    names = [row["gene"] for row in rows]
    assert {"'=HYPERLINK(1)", "'-MINUS", 'say "x", y'} <= set(names)
    assert not [name for name in names if name[0] in "=+-@"]
    for column, rtol in (("observed", 0), ("baseMean", 2e-4), ("log2FoldChange", 2e-4), ("lfcSE", 2e-3)):
        np.testing.assert_allclose(
            [float(row[column]) for row in rows], expected[column], rtol=rtol, atol=1e-6
        )
    np.testing.assert_allclose([float(row["padj"]) for row in rows], expected["padj"], rtol=0.006)


def downloaded(folder: Path) -> list[dict[str, str]]:
    deadline = time.monotonic() + 20
    while not (found := list(folder.glob("*.csv"))):
        assert time.monotonic() < deadline, "nothing was downloaded"
        time.sleep(0.05)
    with found[0].open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_another_sample_can_be_chosen(page: Page, written: Written) -> None:
    """Title, verdict, genes and gene sets are then its own; the list says which is shown."""
    page.driver.find_elements("css selector", "#samples tbody button")[2].click()
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(page.driver, 10).until(lambda _: page.find("#sample-title").text == SAMPLES[2])
    surest = written.of(2).sort_values("log_pvalue", kind="stable").head(25)
    assert page.texts("#genes tbody th") == surest["gene"].tolist()
    pressed = page.driver.find_elements("css selector", "#samples [aria-pressed=true]")
    assert [button.text for button in pressed] == [SAMPLES[2]]


def test_of_two_quick_clicks_the_last_decides(page: Page) -> None:
    """Though the first sample takes longer to unpack."""
    page.driver.execute_script(
        """
        const unpack = Response.prototype.arrayBuffer;
        let calls = 0;
        Response.prototype.arrayBuffer = async function () {
          const wait = calls++ === 0 ? 500 : 0;
          await new Promise((done) => setTimeout(done, wait));
          return unpack.call(this);
        };
        const buttons = document.querySelectorAll("#samples tbody button");
        buttons[1].click();
        buttons[2].click();
        """
    )
    time.sleep(1.0)
    assert page.find("#sample-title").text == SAMPLES[2]
    pressed = page.driver.find_elements("css selector", "#samples [aria-pressed=true]")
    assert [button.text for button in pressed] == [SAMPLES[2]]


def test_gene_sets_are_listed_as_text(page: Page) -> None:
    """The set that a changed gene is in, by name, with numbers."""
    assert set(page.texts("#sets tbody th")) == {"<i>half</i>", "other"}


def test_pointing_at_a_gene_tells_its_numbers(page: Page, written: Written) -> None:
    """Genes without a change crowd in the middle at the bottom of the volcano plot."""
    from selenium.webdriver.common.action_chains import ActionChains

    canvas = page.find("#volcano")
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    shown = []
    for right in range(-200, 200, 15):
        ActionChains(page.driver, duration=0).move_to_element_with_offset(canvas, right, 140).perform()
        tip = page.find("#tip")
        if tip.is_displayed():
            shown.append(tip.text.split("\n"))
    assert shown
    assert {lines[0] for lines in shown} <= set(written.of(0)["gene"])
    assert all(lines[1].startswith("observed ") and lines[3].startswith("p ") for lines in shown)


def test_a_click_finds_the_gene_whatever_the_table_shows(page: Page) -> None:
    """A gene that did not change, while the table is of those that are up."""
    found = page.driver.execute_script(
        """const by = (id) => document.getElementById(id), canvas = by("volcano");
        by("show").value = "up";
        by("show").dispatchEvent(new Event("change"));
        const { left, top, width, height } = canvas.getBoundingClientRect();
        for (let x = 60; x < width && !by("search").value; x += 5) {
          const place = { clientX: left + x, clientY: top + height - 50, bubbles: true };
          canvas.dispatchEvent(new MouseEvent("click", place));
        }
        return by("search").value;"""
    )
    assert found
    assert found in page.texts("#genes tbody th")


@pytest.mark.parametrize(("text", "at"), [("", 0), ("1", 0), ("0", -10), ("1e-300", -10), ("0.01", -2)])
def test_the_slider_follows_the_field(page: Page, text: str, at: float) -> None:
    """To its ends at most; no number is no threshold."""
    page.driver.execute_script(
        """const field = document.getElementById("padj");
        field.value = arguments[0];
        field.dispatchEvent(new Event("input"));""",
        text,
    )
    assert float(page.find("#padj-slider").get_attribute("value")) == at


def test_every_field_has_a_name_and_the_list_of_samples_sorts(page: Page) -> None:
    """As a screen reader announces it."""
    for field in page.driver.find_elements("css selector", "input, select"):
        assert field.accessible_name
    page.find("#samples thead button").click()
    names = page.texts("#samples tbody button")
    assert sorted(names) == sorted(SAMPLES)
    assert page.find("#samples thead th").get_attribute("aria-sort") == "ascending"


def test_print_leaves_out_what_paper_cannot_do(page: Page) -> None:
    """Buttons and fields go; the verdict, the plots and the genes stay."""
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    for selector in ("#download", "#more", "#search", "#padj-slider"):
        assert not page.find(selector).is_displayed()
    for selector in ("#headline", "#volcano", "#map", "#genes"):
        assert page.find(selector).is_displayed()
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_narrow_window_scrolls_down_only(written: Written, tmp_path: Path) -> None:
    """Wide tables scroll by themselves."""
    with Page(tmp_path, width=500) as page:
        page.open(written.path)
        wide = page.driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
