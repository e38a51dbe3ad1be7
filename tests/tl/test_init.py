# SPDX-License-Identifier: BSD-3-Clause
"""The room's front door."""

import subprocess
import sys

import pytest

from pydgd import tl


def test_every_name_is_there() -> None:
    """And no other."""
    for name in tl.__all__:
        assert getattr(tl, name).__name__ == name
    assert dir(tl) == sorted(tl.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tl.nothing


def test_verbs_on_tables_do_without_torch() -> None:
    """Counting calls and testing gene sets takes pandas and scipy."""
    names = "aberrant_samples, aberrant_genes, recurrence, over_representation, gsea, read_gene_sets"
    code = f"from pydgd.tl import {names}; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
