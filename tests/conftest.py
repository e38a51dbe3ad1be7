"""Fixtures that every room's tests share."""

import logging
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


@pytest.fixture(autouse=True)
def _fresh_log() -> None:
    """The package's log as Python makes it: a command that ran within the process has set its own."""
    log = logging.getLogger("pydgd")
    log.handlers, log.level, log.propagate = [], logging.NOTSET, True
    log.manager._clear_cache()
