# SPDX-License-Identifier: BSD-3-Clause
"""Numbers in sentences."""


def plural(number: int, noun: str) -> str:
    """A number with its noun.

    Args:
        number: How many.
        noun: In the singular; its plural ends in s.

    Example:
        >>> plural(1, "sample"), plural(18_627, "gene")
        ('1 sample', '18,627 genes')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
