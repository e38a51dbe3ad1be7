# SPDX-License-Identifier: BSD-3-Clause
"""Names of samples and genes as matplotlib draws them."""


def plain(name: object) -> str:
    r"""Text that matplotlib draws as it is: a dollar sign would start mathematics.

    Args:
        name: Anything with a text.

    Example:
        >>> print(plain("A$B"))
        A\$B
    """
    return str(name).replace("$", r"\$")
