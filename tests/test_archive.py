"""The archive: what may enter it, what is left of a run, and that what is tracked is what was archived."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from solvers import cli
from solvers.archive import ARCHIVE, MOST_BYTES, archive_run, check_trusted, verify
from solvers.record import RecordError, checksum_of, read_fields, read_history, read_run, sha256
from solvers.run import run, run_folder
from tests.conftest import ROOT, smoke_spec
from workflow.analysis.figures import FIGURES, read_runs
from workflow.analysis.summary import summarise

TRACKED = sorted(path.parent for path in (ROOT / ARCHIVE).glob("*/*/*/*/*/*/archive.json"))


def finished_run(folder: Path, method: tuple[str, str] = ("heat-0.3", "mmpinn"), **options) -> Path:
    """A run as if made from a clean commit."""
    run(smoke_spec(method, "torch", "paper", **options), folder)
    edit(folder, lambda data: data["provenance"].update(commit="0" * 40, uncommitted_changes=False))
    return folder


def edit(folder: Path, change) -> None:
    """Change the record and all checksums, so that nothing but its sense is wrong."""
    data = json.loads((folder / "run.json").read_text())
    change(data)
    data["sha256"] = {name: sha256((folder / name).read_bytes()) for name in data["sha256"]}
    (folder / "run.json").write_text(json.dumps(data | {"checksum": checksum_of(data)}))


@pytest.mark.parametrize("method", [("heat-0.3", "mmpinn"), ("poisson-4-150", "mff"), ("helmholtz-1-8", "mff")])
def test_an_archived_run_is_small_and_still_a_run(tmp_path, method):
    folder = finished_run(tmp_path / "run", method)
    target = archive_run(folder, tmp_path / "archive")
    assert target == run_folder(read_run(folder).spec, tmp_path / "archive")
    note = verify(target)
    assert set(note.sha256) == {"run.json", "history.parquet", "fields.npz", "weights.safetensors"}
    assert read_run(target) == read_run(folder)
    history, whole = read_history(target), read_history(folder)
    assert list(history.columns) == list(whole.columns)
    assert history.iteration.iloc[-1] == whole.iteration.iloc[-1]
    fields, all_nodes = read_fields(target), read_fields(folder)
    assert fields["exact"].shape == fields["predicted"].shape
    name = next(iter(fields))
    assert set(fields[name].round(6)) <= set(all_nodes[name].astype("float32").round(6))
    assert [summarise([f]).source.item() for f in (folder, target)] == ["fresh", "archive"]
    for draw in FIGURES.values():
        draw(read_runs([target]))


def test_long_histories_and_large_weights_are_thinned(tmp_path):
    spec = smoke_spec(
        ("heat-0.3", "mmpinn"),
        "jax",
        "paper",
        overrides=["network.width=150", "network.depth=3", "evaluation.every=1", "optimizers.adam.iterations=900"],
    )
    folder = tmp_path / "run"
    run(spec, folder)
    edit(folder, lambda data: data["provenance"].update(commit="0" * 40, uncommitted_changes=False))
    target = archive_run(folder, tmp_path / "archive")
    assert not (target / "weights.safetensors").exists()
    assert any("weights: all" in text for text in verify(target).left_out)
    assert summarise([target]).status.item() == "finished"
    assert len(read_history(target)) < 250 < len(read_history(folder))
    assert set(read_history(target).stage) == set(read_history(folder).stage)
    assert sum(path.stat().st_size for path in target.iterdir()) < MOST_BYTES
    (target / "fields.npz").unlink()
    with pytest.raises(RecordError, match=r"fields\.npz: is not the file that was archived"):
        summarise([target])


def test_a_diverged_run_may_be_archived(tmp_path):
    folder = finished_run(tmp_path / "run", overrides=["optimizers.adam.learning_rate=1e6"])
    assert read_run(archive_run(folder, tmp_path / "archive")).status == "diverged"


def spoil_weights(folder: Path) -> None:
    arrays = load_file(folder / "weights.safetensors")
    arrays["last/layer0.weight"] = arrays["last/layer0.weight"] + np.float32(0.1)
    save_file(arrays, folder / "weights.safetensors")
    edit(folder, lambda data: None)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "weights.safetensors").unlink(), "weights.safetensors: cannot be read"),
        (lambda f: (f / "weights.safetensors").write_bytes(b"no"), r"weights.safetensors: is not the file"),
        (lambda f: (f / "fields.npz").write_bytes(b"no"), r"fields.npz: is not the file"),
        (lambda f: (f / "history.parquet").write_bytes(b"no"), r"history.parquet: is not the file"),
        (lambda f: (f / "run.json").write_text("{"), "is damaged: not JSON"),
        (lambda f: edit(f, lambda d: d["provenance"].update(commit=None)), "in no commit"),
        (lambda f: edit(f, lambda d: d["provenance"].update(uncommitted_changes=True)), "in no commit"),
        (lambda f: edit(f, lambda d: d["spec"].update(seed=7)), "was it edited"),
        (spoil_weights, "gives another prediction"),
        (
            lambda f: edit(f, lambda d: d.update(last=None, status="killed")),
            "a run without a result (killed)",
        ),
    ],
)
def test_a_run_that_cannot_be_trusted_is_refused(tmp_path, damage, words, capsys):
    folder = finished_run(tmp_path / "run")
    check_trusted(folder)
    damage(folder)
    assert cli.main(["archive", str(folder), "--to", str(tmp_path / "archive")]) == 2
    assert words in capsys.readouterr().err
    assert not list((tmp_path).glob("archive/**/run.json"))


def test_an_archived_run_is_replaced_only_on_request(tmp_path):
    folder, root = finished_run(tmp_path / "run"), tmp_path / "archive"
    target = archive_run(folder, root)
    with pytest.raises(RecordError, match="--replace"):
        archive_run(folder, root)
    assert archive_run(folder, root, replace=True) == target
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_changed_file_is_found(tmp_path):
    target = archive_run(finished_run(tmp_path / "run"), tmp_path / "archive")
    edit(target, lambda data: data["last"].update(rel_l2=1e-9))
    with pytest.raises(RecordError, match=r"run\.json: is not the file that was archived"):
        verify(target)


def test_there_is_an_archive():
    assert TRACKED


@pytest.mark.parametrize("folder", TRACKED, ids=lambda folder: "-".join(folder.parts[-6:]))
def test_tracked_runs_are_as_archived(folder):
    verify(folder)
    record = read_run(folder)
    assert run_folder(record.spec, ROOT / ARCHIVE) == folder
    assert sum(path.stat().st_size for path in folder.iterdir()) < MOST_BYTES
