# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd fine-tune`: the API with the same options."""

import inspect

import pytest

from pydgd import DGD, read_counts
from pydgd.cli.fine_tune import FINE_TUNE_OPTIONS
from pydgd.cli.reading import READING_OPTIONS
from pydgd.data import simulate_cohort
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.training.engine import Run
from pydgd.training.fine_tuning import OPTIONS, USUAL
from pydgd.training.keeper import Keeper


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of two tissues, and the counts of three."""
    folder = tmp_path_factory.mktemp("fine_tune")
    normals = simulate_cohort(n_tissues=3, n_per_tissue=20, n_genes=150, seed=3).normals
    new = normals.obs["tissue"] == normals.obs["tissue"].iloc[-1]
    write_h5ad(normals[~new].copy(), folder / "old.h5ad")
    write_h5ad(normals[new].copy(), folder / "new.h5ad")
    DGD.fit(normals[~new], latent_dim=4, epochs=5).save(folder / "old.dgd")
    return folder


def test_it_is_the_api_with_the_same_options(pydgd, folder, tmp_path) -> None:
    """The same model to the bit, news on stderr."""
    done = pydgd(
        "fine-tune", folder / "old.dgd", folder / "new.h5ad", "-o", tmp_path / "m.dgd", "--seed", 1,
        "--epochs", 3, "--more-dims", 2, "--threads", 1,
    )  # fmt: skip
    assert (done.code, done.out) == (0, ""), done.err
    model = DGD.load(folder / "old.dgd")
    expected = model.fine_tune(read_counts(folder / "new.h5ad"), epochs=3, more_dimensions=2, seed=1)
    assert DGD.load(tmp_path / "m.dgd").record.content_hash == expected.record.content_hash
    assert "learnt 18 new samples: DGD(" in done.err
    assert f"wrote {tmp_path / 'm.dgd'} (" in done.err


def test_old_samples_are_replayed(pydgd, folder, tmp_path) -> None:
    """Those of --replay that --replay-where leaves; --where is about the new ones."""
    done = pydgd(
        "fine-tune", folder / "old.dgd", folder / "new.h5ad", "--replay", folder / "old.h5ad",
        "--where", "tissue=lung", "--replay-where", "tissue!=liver", "--epochs", 2, "-o", tmp_path / "m.dgd",
    )  # fmt: skip
    assert done.code == 0, done.err
    learnt = DGD.load(tmp_path / "m.dgd")
    assert learnt.provenance["fine_tuned"][0]["replay"] is True
    assert set(learnt.labels) == {"lung", *read_counts(folder / "old.h5ad").obs["tissue"]} - {"liver"}


def test_an_interrupted_one_is_resumed(pydgd, folder, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bits of a whole one, by the same options only; no state is left."""
    command = ["fine-tune", folder / "old.dgd", folder / "new.h5ad", "--epochs", 3, "--threads", 1, "-o"]
    whole = pydgd(*command, tmp_path / "whole.dgd")
    assert whole.code == 0, whole.err
    command += [tmp_path / "m.dgd", "--checkpoint-every", "1e-9"]
    keep = Keeper.keep

    def stop(self: Keeper, run: Run) -> None:
        keep(self, run)
        if run.epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "keep", stop)
        stopped = pydgd(*command)
    assert (stopped.code, "go on with --resume" in stopped.err) == (130, True)
    assert "holds the state of a training that was interrupted" in pydgd(*command).err
    assert "another training: sizes differ" in pydgd(*command, "--resume", "--more-dims", 1).err
    done = pydgd(*command, "--resume")
    assert done.code == 0, done.err
    hashes = [DGD.load(tmp_path / name).record.content_hash for name in ("whole.dgd", "m.dgd")]
    assert hashes[0] == hashes[1]
    assert {path.name for path in tmp_path.iterdir()} == {"whole.dgd", "m.dgd"}


def test_the_options_are_those_of_the_api() -> None:
    """With its defaults; seed is shared."""
    own = FINE_TUNE_OPTIONS.keys() - READING_OPTIONS.keys()
    assert own | {"seed"} == {*OPTIONS, "more_dimensions", "more_components"}
    assert {name: FINE_TUNE_OPTIONS[name].default for name in USUAL} == USUAL
    assert {"more_dimensions", "more_components"} < inspect.signature(DGD.fine_tune).parameters.keys()


def test_a_choice_among_no_samples_is_refused(pydgd, folder) -> None:
    done = pydgd("fine-tune", folder / "old.dgd", folder / "new.h5ad", "--replay-where", "a=b", "-o", "m.dgd")
    assert done.code == 2
    assert "add --replay" in done.err


def test_the_inputs_are_not_overwritten(pydgd, folder) -> None:
    """Neither the counts nor the replay; the model may be replaced."""
    done = pydgd("fine-tune", folder / "old.dgd", folder / "new.h5ad", "-o", folder / "new.h5ad")
    assert done.code == 2
    assert "cannot tell the format of" in done.err
