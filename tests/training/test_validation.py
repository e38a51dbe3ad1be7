# SPDX-License-Identifier: BSD-3-Clause
"""Which samples are held out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydgd.training import split_groups
from pydgd.training.validation import MOST_HELD_OUT


def split(groups: list[str], share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Shorter to write."""
    return split_groups(groups, share=share, seed=seed)


@given(
    groups=st.lists(st.sampled_from([f"donor{i}" for i in range(30)]), min_size=1, max_size=120),
    share=st.floats(0, 0.5),
    seed=st.integers(0, 100),
)
def test_split_is_a_partition_that_keeps_groups_together(groups: list[str], share: float, seed: int) -> None:
    """Every sample is on one side, no group on both, someone is left to train on, and few watch."""
    train, held_out = split(groups, share, seed)
    assert sorted([*train, *held_out]) == list(range(len(groups)))
    assert not {groups[i] for i in train} & {groups[i] for i in held_out}
    assert len(train)
    assert len(held_out) <= max(2 * np.ceil(share * len(groups)), len(groups) // 5)
    assert (np.diff(train) > 0).all()
    assert (np.diff(held_out) > 0).all()


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5])
def test_share_is_reached_by_whole_groups(share: float) -> None:
    """Groups of three: at least the share, at most two samples more."""
    groups = [f"donor{i // 3}" for i in range(90)]
    n_held_out = len(split(groups, share)[1])
    assert np.ceil(share * 90) <= n_held_out <= np.ceil(share * 90) + 2


def test_one_large_group_is_never_held_out() -> None:
    """A donor with most of the samples would leave too few to train on."""
    groups = ["large"] * 80 + [f"donor{i}" for i in range(20)]
    for seed in range(20):
        train, held_out = split(groups, 0.1, seed)
        assert set(range(80)) <= set(train)
        assert len(held_out) == 10


@pytest.mark.parametrize(("n_groups", "share"), [(9, 0.5), (1, 0.1), (50, 0.0)])
def test_nothing_is_held_out_of_few_groups_or_for_share_zero(n_groups: int, share: float) -> None:
    """Fewer than ten groups are all needed for training."""
    groups = [f"donor{i % n_groups}" for i in range(100)]
    train, held_out = split(groups, share)
    assert train.tolist() == list(range(100))
    assert held_out.size == 0


def test_names_decide_not_order() -> None:
    """The same donors are held out of shuffled samples."""
    groups = [f"s{i}" for i in range(100)]
    shuffled = list(np.random.default_rng(0).permutation(groups))
    assert {groups[i] for i in split(groups, 0.1)[1]} == {shuffled[i] for i in split(shuffled, 0.1)[1]}


def test_who_is_held_out_hardly_changes_when_donors_come() -> None:
    """Ten more of a hundred take a few places, and whoever else is held out was so before."""
    before = set(split([f"s{i}" for i in range(100)], 0.1)[1].tolist())
    after = set(split([f"s{i}" for i in range(110)], 0.1)[1].tolist())
    assert len(after) == 11
    assert len(before & after) >= 7
    assert len({i for i in after - before if i < 100}) <= 1


def test_seed_decides() -> None:
    """Same seed, same split; another seed, another."""
    groups = [f"s{i}" for i in range(100)]
    assert split(groups, 0.1, 0)[1].tolist() == split(groups, 0.1, 0)[1].tolist()
    assert split(groups, 0.1, 0)[1].tolist() != split(groups, 0.1, 1)[1].tolist()


def test_large_groups_do_not_fill_the_memory() -> None:
    """Of a study of thousands that is held out, some watch, and none trains."""
    groups = [f"study {i % 10}" for i in range(40_000)]
    train, held_out = split_groups(groups, share=0.1)
    assert len(held_out) <= 2 * MOST_HELD_OUT
    assert len({groups[i] for i in held_out}) == 1
    assert len(train) == 36_000
