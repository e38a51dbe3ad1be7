# SPDX-License-Identifier: BSD-3-Clause
"""Gradients of several processes: their sum, and a word on whether all are fit to learn from."""

import pytest
import torch

from pydgd.training import gradients
from pydgd.training.gradients import add_gradients, shards_of
from pydgd.training.ranks import ALONE, Ranks


class TwiceAsMuch:
    """Another process with twice this one's numbers, and a word of its own."""

    def __init__(self, word: float) -> None:
        self.word, self.messages = word, []

    def total(self, message: torch.Tensor) -> torch.Tensor:
        """The sum with the other's."""
        self.messages.append(len(message))
        return torch.cat([3 * message[:-1], message[-1:] + self.word])

    def joined(self, rows: torch.Tensor) -> torch.Tensor:
        """Nobody asks."""
        raise NotImplementedError(rows)


@pytest.fixture
def parameters() -> list[torch.nn.Parameter]:
    """Three with gradients, and one that does not learn."""
    learning = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 3), (4,), ())]
    for parameter in learning:
        parameter.grad = torch.randn(parameter.shape)
    return [*learning[:2], torch.nn.Parameter(torch.zeros(5)), learning[2]]


@pytest.mark.parametrize(("mine", "theirs"), [(True, True), (False, True), (True, False)])
def test_gradients_and_health_go_in_one_message(
    parameters: list[torch.nn.Parameter], mine: bool, theirs: bool
) -> None:
    """All learn from a step, or none does; a parameter that does not learn is left out."""
    other = TwiceAsMuch(0.0 if theirs else torch.nan)
    before = [None if p.grad is None else 3 * p.grad for p in parameters]
    assert add_gradients(parameters, other, healthy=mine) == (mine and theirs)
    assert other.messages == [6 + 4 + 1 + 1]
    for parameter, expected in zip(parameters, before, strict=True):
        assert parameter.grad is expected is None or torch.equal(parameter.grad, expected)


def test_processes_add_up_by_a_board_if_they_can(
    parameters: list[torch.nn.Parameter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has room for all gradients and the word; one process, or parameters on a GPU, need none."""
    asked = []
    monkeypatch.setattr(gradients.Board, "opened", lambda n_bytes, _: asked.append(n_bytes))
    both = Ranks(0, 2)
    assert shards_of(ALONE, parameters) is ALONE
    assert shards_of(both, [torch.nn.Parameter(torch.zeros(3, device="meta"))]) is both
    assert not asked
    assert shards_of(both, parameters) is both
    assert asked[0] >= 4 * (6 + 4 + 5 + 1 + 1)
    board = TwiceAsMuch(0.0)
    monkeypatch.setattr(gradients.Board, "opened", lambda *_: board)
    assert shards_of(both, parameters) is board
