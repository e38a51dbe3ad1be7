"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and reference files beside the checkout; never part of the project."""
    if not SHARED.is_dir():
        message = f"needs the reference files in {SHARED.name}/ beside the checkout"
        if os.environ.get("PYDGD_REQUIRE_SHARED") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return SHARED
