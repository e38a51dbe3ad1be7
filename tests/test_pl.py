# SPDX-License-Identifier: BSD-3-Clause
"""The short names of the rooms for pictures and analyses, as modules."""

import subprocess
import sys

import pytest

from pydgd import pl, plotting


def test_pl_is_plotting() -> None:
    """The same functions under the same names."""
    assert pl.__all__ == plotting.__all__
    assert all(getattr(pl, name) is getattr(plotting, name) for name in plotting.__all__)


@pytest.mark.parametrize(
    "code",
    [
        "import pydgd.pl; pydgd.pl.volcano",
        "from pydgd.pl import volcano",
        "import pydgd; pydgd.pl.volcano",
        "import pydgd.tl; pydgd.tl.recurrence",
        "from pydgd.tl import recurrence",
    ],
)
def test_short_names_are_modules(code: str) -> None:
    """However they are imported, in a fresh process."""
    subprocess.run([sys.executable, "-c", code], check=True)
