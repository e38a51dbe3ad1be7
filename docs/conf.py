# SPDX-License-Identifier: BSD-3-Clause
"""The site, which `make docs` builds; placeholders and the outputs of code are filled in meanwhile."""

import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_site"))

from blocks import Outcome, run_page, with_outputs  # noqa: E402  # needs the path above
from generated import PLACEHOLDERS  # noqa: E402

from pydgd import __version__  # noqa: E402

project = "PyDGD"
author = "The PyDGD developers"
project_copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_site"]
html_theme = "sphinx_book_theme"
html_title = f"PyDGD {__version__}"
html_theme_options = {
    "repository_url": "https://github.com/pydgd/pydgd",
    "path_to_docs": "docs",
    "use_repository_button": True,
    "show_toc_level": 2,
    "home_page_in_toc": True,
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
myst_heading_anchors = 3
# An option's -- is no dash.
smartquotes = False

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Source", ("Schemes", "params_style")]
python_maximum_signature_line_length = 88
# In docstrings `name` is code, not a reference that must resolve.
default_role = "code"

# References must resolve, but to other projects, whose inventories are on the network, and to types of
# modules that are no page of their own.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!pydgd\b).*"), ("py:.*", r"pydgd(\.[a-z_]\w*){2,}\.\w+")]

RUN = ("quickstart", *(f"tutorials/{path.stem}" for path in sorted((HERE / "tutorials").glob("[!i]*.md"))))
SCRATCH = HERE.parent / "build" / "docs-run"
_runs: dict[str, Future[list[Outcome]]] = {}


def _start(_app: Sphinx, _env: BuildEnvironment, pages: list[str]) -> None:
    """Run the pages that will be read and have code to follow, two at a time, while others are read."""
    pool = ThreadPoolExecutor(max_workers=2)
    for page in set(pages).intersection(RUN):
        _runs[page] = pool.submit(run_page, HERE / f"{page}.md", SCRATCH / page)


def _fill(_app: Sphinx, page: str, source: list[str]) -> None:
    """Put what is generated in place of a placeholder, and what a page's code prints below the code."""
    for placeholder, made in PLACEHOLDERS.items():
        if placeholder in source[0]:
            source[0] = source[0].replace(placeholder, made())
    if page in _runs:
        pictures = os.path.relpath(SCRATCH / page, (HERE / page).parent)
        source[0] = with_outputs(source[0], _runs.pop(page).result(), pictures)


def _skip(
    _app: Sphinx,
    _what: str,
    _name: str,
    thing: object,
    skip: bool,  # noqa: FBT001  # Sphinx's signature
    _options: object,
) -> bool | None:
    """Leave out what a NamedTuple says of its fields; the class's own docstring says more."""
    return True if "Alias for field number" in (getattr(thing, "__doc__", None) or "") else skip or None


def setup(app: Sphinx) -> None:
    """Register the above."""
    app.connect("env-before-read-docs", _start)
    app.connect("source-read", _fill)
    app.connect("autodoc-skip-member", _skip)
