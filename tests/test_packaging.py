# SPDX-License-Identifier: BSD-3-Clause
"""What ships beside the code says the same as the code's own metadata."""

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from pydgd import __version__

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "packaging" / "conda" / "recipe.yaml"
OTHER_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_conda_recipe_needs_what_the_wheel_needs(project) -> None:
    """Same packages, same lower bounds, same Python."""
    run = RECIPE.read_text().split("  run:\n")[1].split("\n\n")[0]
    found = {line.strip("- ").replace(" ", "") for line in run.splitlines()}
    wanted = {re.split(r"[>=]", need)[0]: need for need in project["dependencies"]}
    expected = {need.replace(name, OTHER_NAMES.get(name, name), 1) for name, need in wanted.items()}
    assert found == expected | {"python" + project["requires-python"]}


def test_the_conda_recipe_has_the_version() -> None:
    assert f'version: "{__version__}"' in RECIPE.read_text()


def test_the_package_says_that_it_is_typed() -> None:
    assert (resources.files("pydgd") / "py.typed").is_file()


def test_the_lock_pins_every_dependency(project) -> None:
    """At a version that the lower bound allows is for pip to say; that there is one, for us."""
    lines = (ROOT / "constraints.txt").read_text().lower().splitlines()
    pinned = {line.split("==")[0] for line in lines if "==" in line}
    assert {re.split(r"[>=]", need)[0] for need in project["dependencies"]} <= pinned
