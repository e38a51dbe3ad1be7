# SPDX-License-Identifier: BSD-3-Clause
"""Available memory, as Linux and its containers say it."""

from pathlib import Path

import pytest

from pydgd.data.memory import available_memory

MEMINFO = "MemTotal:       16000000 kB\nMemFree:          500000 kB\nMemAvailable:    8000000 kB\n"


def put(folder: Path, name: str, content: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8_000_000 * 1024),
        ({"memory.max": "max\n", "memory.current": "1000\n"}, 8_000_000 * 1024),
        ({"memory.max": "3000000\n", "memory.current": "1000000\n"}, 2_000_000),
        ({"memory.max": "1000\n", "memory.current": "2000\n"}, 0),
        (
            {"memory/memory.limit_in_bytes": "5000000\n", "memory/memory.usage_in_bytes": "1000000\n"},
            4_000_000,
        ),
    ],
)
def test_the_smallest_limit_counts(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    """Of the system and of the container, in either version."""
    put(tmp_path, "meminfo", MEMINFO)
    for name, content in files.items():
        put(tmp_path / "cgroup", name, content)
    assert available_memory(tmp_path / "meminfo", tmp_path / "cgroup") == expected


def test_other_systems_say_how_much_there_is(tmp_path: Path) -> None:
    """Half of it may be taken."""
    found = available_memory(tmp_path / "none", tmp_path / "none")
    assert found is None or found > 2**26
