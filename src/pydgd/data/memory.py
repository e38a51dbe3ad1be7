# SPDX-License-Identifier: BSD-3-Clause
"""How much memory there is."""

import os
from collections.abc import Iterator
from pathlib import Path

# Of a container or a batch job, version 2 and version 1: the limit, and what of it is used.
_LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def available_memory(
    meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Bytes that a process may still take: what the system has left, within the limit of its container.

    Args:
        meminfo: Linux's account of memory.
        cgroup: Where Linux keeps the limits of containers and batch jobs.

    Returns:
        Bytes; where Linux does not say (macOS), half of the physical memory; None if nothing is known.

    Example:
        >>> available_memory() is None or available_memory() > 0
        True
    """
    known = [*_left_in_system(meminfo), *_left_in_container(cgroup)]
    return max(min(known), 0) if known else _half_of_physical()


def _left_in_system(meminfo: Path) -> Iterator[int]:
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024


def _left_in_container(cgroup: Path) -> Iterator[int]:
    for limit, usage in _LIMITS:
        if (cgroup / limit).is_file() and (cgroup / usage).is_file():
            allowed = (cgroup / limit).read_text().strip()
            if allowed != "max":
                yield int(allowed) - int((cgroup / usage).read_text())


def _half_of_physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None
