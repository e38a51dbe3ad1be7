# SPDX-License-Identifier: BSD-3-Clause
"""Random numbers that belong to a sample and a gene by name: the same in any order, subset or batch."""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from pydgd.stats.arguments import FloatArray

_Words = NDArray[np.uint64]


def named_uniforms(sample_names: Iterable[str], genes: Iterable[str], *, seed: int) -> FloatArray:
    """One uniform number for each sample and gene, determined by the two names and the seed alone.

    Args:
        sample_names: N names.
        genes: G names.
        seed: Any integer; another seed gives independent numbers.

    Returns:
        Numbers strictly between 0 and 1, shape ``(N, G)``.

    Source:
        Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators", OOPSLA, for the mixing
        function; Salmon et al. (2011), SC11, for random numbers as a function of a counter.

    Example:
        >>> both = named_uniforms(["a", "b"], ["g1", "g2"], seed=0)
        >>> bool(both[1, 0] == named_uniforms(["b"], ["g1"], seed=0)[0, 0])
        True
    """
    rows = _mixed(_hashes(sample_names, f"sample {seed}"))
    columns = _hashes(genes, "gene")
    words = _mixed(_mixed(rows[:, None] + columns) ^ rows[:, None])
    # The middle of one of 2^52 equal cells: neither 0 nor 1, either of which would be an infinite residual.
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _hashes(names: Iterable[str], kind: str) -> _Words:
    key = kind.encode()
    digests = b"".join(blake2b(name.encode(), digest_size=8, key=key).digest() for name in names)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _mixed(words: _Words) -> _Words:
    """SplitMix64's finaliser: a bijection of 64-bit words in which every input bit moves every output bit."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
