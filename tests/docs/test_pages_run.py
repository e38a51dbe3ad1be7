# SPDX-License-Identifier: BSD-3-Clause
"""The quickstart and the tutorials run as they stand, block after block, and find what their text says."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"

# What the text around the blocks claims of their output.
CLAIMS = {
    "quickstart": [r"no close normal for 6 of 12 samples", r"\d+ calls, \d+ of them planted"],
    "tutorials/closest-normal": [
        r"C00001 +liver +changed +False .* liver 5\n",
        r"C00012 +brain +unchanged +True .* brain 5\n",
        r"C00012 +brain +False",
    ],
    "tutorials/tumour": [r"dgd_nearest_labels +liver 5", r"direction right in (\d+) of \1\n"],
    "tutorials/rare-disease": [r"liver 5 +6\nkidney 5 +6\nlung 5 +6", r"24 aberrant genes"],
    "tutorials/own-normals": [r"no problems", r"unchanged +0\.0"],
    "tutorials/from-r": [r"\(6, \d+\) \['C00001'"],
}


@pytest.fixture(scope="module")
def blocks() -> ModuleType:
    """docs/_site/blocks.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("blocks", DOCS / "_site" / "blocks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_with_code_to_follow_is_run() -> None:
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in (DOCS / "tutorials").glob("*.md")}
    assert set(CLAIMS) == (pages - {"tutorials/index"}) | {"quickstart"}


@pytest.mark.slow
@pytest.mark.parametrize("page", CLAIMS)
def test_a_page_runs_and_finds_what_it_says(page: str, blocks: ModuleType, tmp_path: Path) -> None:
    printed = "".join(outcome.text for outcome in blocks.run_page(DOCS / f"{page}.md", tmp_path / "run"))
    assert [claim for claim in CLAIMS[page] if not re.search(claim, printed)] == []


def test_outputs_stand_below_their_blocks(blocks: ModuleType) -> None:
    """Text in a fence of its own, then pictures; a block that prints nothing gets nothing."""
    page = "A\n\n```bash\nls\n```\n\nB\n\n```python\nx = 1\n```\n\n```r\nls()\n```\n"
    outcomes = [blocks.Outcome("one\n", ["p.png"]), blocks.Outcome("", [])]
    shown = blocks.with_outputs(page, outcomes, "../run")
    below = "```bash\nls\n```\n\n```text\none\n```\n\n![p](../run/p.png)\n\nB"
    assert shown == page.replace("```bash\nls\n```\n\nB", below)


def test_python_blocks_of_a_page_are_one_session(blocks: ModuleType, tmp_path: Path) -> None:
    """And shell blocks see the files that they wrote; lines on progress are left out."""
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 2\nopen('f', 'w').write('hi\\n')\n```\n"
        "```bash\ncat f\necho 'search: 1 of 2 samples; 1 s'\n```\n"
        "```python\nprint(x)\n```\n"
        "```sh\nexit 1\n```\n"
    )
    assert [outcome.text for outcome in blocks.run_page(page, tmp_path / "run")] == ["", "hi\n", "2\n"]


@pytest.mark.parametrize("code", ["```bash\nfalse\n```\n", "```python\n1 / 0\n```\n"])
def test_a_block_that_fails_fails_the_page(code: str, blocks: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(code)
    with pytest.raises(RuntimeError, match="block 1 failed"):
        blocks.run_page(tmp_path / "page.md", tmp_path / "run")


def test_a_script_has_the_set_up_and_the_blocks_in_their_order(blocks: ModuleType) -> None:
    script = blocks.script_of((DOCS / "quickstart.md").read_text())
    wanted = ["python3 -m venv", "pip install", "pydgd simulate", "pydgd train", "pydgd de", "pydgd.DGD.load"]
    places = [script.index(words) for words in wanted]
    assert places == sorted(places)
