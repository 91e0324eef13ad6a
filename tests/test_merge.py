"""Results of several machines: what is copied, what is skipped, what is refused; others' files are never run."""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from solvers import cli
from solvers.merge import merge_results
from solvers.provenance import text_hash
from solvers.record import FILES, RecordError, read_run
from solvers.run import run, run_folder
from tests.conftest import smoke_spec
from tests.test_status import in_progress

SPEC = smoke_spec(("heat-0.3", "pinn"), "torch", "paper")
PLACE = run_folder(SPEC, Path())
OTHER = PLACE.with_name("1")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Results with two finished runs."""
    root = tmp_path_factory.mktemp("made")
    run(SPEC, root / PLACE)
    run(SPEC.model_copy(update={"seed": 1}), root / OTHER)
    return root


@pytest.fixture
def theirs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "theirs"))


@pytest.fixture
def ours(made: Path, tmp_path: Path) -> Path:
    """Results with one of the two runs."""
    shutil.copytree(made / PLACE, tmp_path / "ours" / PLACE)
    return tmp_path / "ours"


def edit(folder: Path, change: Callable[[dict], None]) -> None:
    data = json.loads((folder / "run.json").read_text())
    change(data)
    (folder / "run.json").write_text(json.dumps(data))
    sign(folder)


def sign(folder: Path) -> None:
    """Make the checksums, if the record has them, those of what is there: a change, not a damage."""
    data = json.loads((folder / "run.json").read_text())
    files = {name: folder / name for name in data.get("sha256", {})}
    if not files:
        return
    data["sha256"] = {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in files.items() if p.is_file()}
    rest = {key: value for key, value in data.items() if key != "checksum"}
    data["checksum"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    (folder / "run.json").write_text(json.dumps(data))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_finished_runs_come_into_one_folder(made, ours):
    merged = merge_results([made], ours)
    assert (merged.copied, merged.same, merged.refused) == ([OTHER], [PLACE], {})
    assert contents(ours) == contents(made)
    assert merge_results([made], ours).copied == []


def test_nothing_outside_the_files_of_runs_is_copied(theirs, tmp_path):
    for path in (
        "script.py",
        "quick/note.txt",
        PLACE / "extra.py",
        PLACE / ".checkpoint/state",
        "archive/x/run.json",
    ):
        (theirs / path).parent.mkdir(parents=True, exist_ok=True)
        (theirs / path).write_text("x")
    shutil.copytree(theirs / PLACE, (theirs / PLACE).with_name(".merging-x"))
    shutil.copytree(theirs / PLACE, theirs / "archive" / PLACE)
    merged = merge_results([theirs], tmp_path / "new")
    assert merged.copied == [PLACE, OTHER]
    assert set(contents(tmp_path / "new")) == {str(place / name) for place in (PLACE, OTHER) for name in FILES}


def test_times_and_machines_are_no_difference(theirs, ours):
    def change(data):
        data["seconds"]["training"] += 5
        data["stages"][0]["seconds"] += 5
        data["peak_memory_bytes"] += 1
        data["command"] += " --quiet"
        data["provenance"]["machine"]["cores"] += 1
        data["provenance"]["started"] = "2020-01-01T00:00:00+00:00"

    edit(theirs / PLACE, change)
    before = contents(ours)
    assert merge_results([theirs], ours).same == [PLACE]
    assert contents(ours).items() >= before.items()


def other_weights(folder: Path) -> None:
    path = folder / "weights.safetensors"
    save_file({name: array + np.float32(1) for name, array in load_file(path).items()}, path)


def other_history(folder: Path) -> None:
    history = pd.read_parquet(folder / "history.parquet")
    history.assign(rel_l2=history.rel_l2 * 2).to_parquet(folder / "history.parquet", index=False)


def other_fields(folder: Path) -> None:
    with np.load(folder / "fields.npz") as arrays:
        changed = {name: array + 1 for name, array in arrays.items()}
    np.savez_compressed(folder / "fields.npz", **changed)


def other_specification(folder: Path) -> None:
    def change(data):
        data["spec"]["network"]["width"] += 1
        data["provenance"]["spec_hash"] = text_hash(data["spec"])

    edit(folder, change)


CONFLICTS = [
    (lambda f: edit(f, lambda d: d["last"].update(rel_l2=0.5)), "their numbers"),
    (lambda f: edit(f, lambda d: d.update(status="diverged")), "their numbers"),
    (lambda f: edit(f, lambda d: d["provenance"].update(fingerprint="0" * 16)), "the code that made them"),
    (other_specification, "their specification"),
    (other_weights, "their weights"),
    (other_history, "their histories"),
    (other_fields, "their fields"),
]


@pytest.mark.parametrize("keep", [None, "ours", "theirs"])
@pytest.mark.parametrize(("change", "reason"), CONFLICTS)
def test_conflicts_are_refused_unless_one_is_kept(theirs, ours, change, reason, keep):
    change(theirs / PLACE)
    sign(theirs / PLACE)
    before = contents(ours / PLACE)
    merged = merge_results([theirs], ours, keep)
    assert merged.copied == [OTHER]
    assert contents(ours / PLACE) == (contents(theirs / PLACE) if keep == "theirs" else before)
    assert (merged.kept, merged.replaced) == ([PLACE] * (keep == "ours"), [PLACE] * (keep == "theirs"))
    assert (PLACE in merged.refused) == (keep is None)
    if keep is None:
        for part in (reason, str(ours / PLACE), str(theirs / PLACE), "--keep"):
            assert part in merged.refused[PLACE]


def test_two_sources_that_differ_are_refused(made, theirs, tmp_path):
    edit(theirs / PLACE, lambda data: data["last"].update(rel_l2=0.5))
    merged = merge_results([made, theirs], tmp_path / "new", "theirs")
    assert merged.copied == [OTHER] and "their numbers" in merged.refused[PLACE]
    assert not (tmp_path / "new" / PLACE).exists()
    assert merge_results([made, made], tmp_path / "new").copied == [PLACE]


class Bomb:
    """What a pickle could do when it is read."""

    def __reduce__(self):
        return os.mkdir, ("pwned",)


def link(folder: Path) -> None:
    (folder / "run.json").rename(folder.parent / "elsewhere.json")
    (folder / "run.json").symlink_to(folder.parent / "elsewhere.json")


@pytest.mark.parametrize("keep", [None, "theirs"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "weights.safetensors").unlink(), "weights.safetensors: is missing"),
        (lambda f: (f / "weights.safetensors").write_bytes(pickle.dumps(Bomb())), "not readable weights"),
        (lambda f: (f / "fields.npz").write_bytes(pickle.dumps(Bomb())), "not readable fields"),
        (lambda f: np.savez(f / "fields.npz", exact=np.array([Bomb()], dtype=object)), "not readable fields"),
        (lambda f: (f / "history.parquet").write_bytes(b"no"), "not a readable history"),
        (lambda f: (f / "run.json").write_text("[]"), "run.json: "),
        (lambda f: edit(f, lambda d: d["spec"].update(seed=7)), "is the record of"),
        (lambda f: edit(f, lambda d: d["spec"].update(method="../../../../../x")), "not a run of schema"),
        (lambda f: edit(f, lambda d: d["spec"]["network"].update(width=7)), "its hash is not"),
        (link, "is no plain file"),
    ],
)
def test_damaged_and_foreign_runs_are_never_copied(theirs, ours, tmp_path, monkeypatch, damage, words, keep):
    monkeypatch.chdir(tmp_path)
    for place in (PLACE, OTHER):
        damage(theirs / place)
        if (theirs / place / "run.json").read_text() != "[]":
            sign(theirs / place)
    before = contents(ours)
    merged = merge_results([theirs], ours, keep)
    assert set(merged.refused) == {PLACE, OTHER} and contents(ours) == before
    assert all(words in reason for reason in merged.refused.values())
    assert not (tmp_path / "pwned").exists()


def test_what_is_unfinished_or_damaged_here_is_replaced_only_on_request(made, ours):
    (ours / PLACE / "run.json").write_text("{")
    (ours / OTHER / ".checkpoint").mkdir(parents=True)
    merged = merge_results([made], ours)
    assert "damaged" in merged.refused[PLACE] and "not finished" in merged.refused[OTHER]
    assert merge_results([made], ours, "theirs").replaced == [PLACE, OTHER]
    assert contents(ours) == contents(made)


def test_a_run_in_progress_here_is_left_alone(made, tmp_path):
    folder = in_progress(SPEC, tmp_path)
    merged = merge_results([made], tmp_path, "theirs")
    assert "at this moment" in merged.refused[PLACE] and (folder / ".checkpoint").exists()


@pytest.mark.parametrize("step", ["copyfile", "rename"])
def test_a_disk_that_fails_leaves_all_as_it_was(theirs, ours, monkeypatch, step):
    edit(theirs / PLACE, lambda data: data["last"].update(rel_l2=0.5))
    before, moved = contents(ours), Path.rename

    def full(source, *given, **options):
        raise OSError(28, "No space left on device", str(source))

    def rename(source, target):
        return full(source) if source.name == "new" else moved(source, target)

    monkeypatch.setattr(*((shutil, "copyfile", full) if step == "copyfile" else (Path, "rename", rename)))
    with pytest.raises(RecordError, match="No space left"):
        merge_results([theirs], ours, "theirs")
    assert contents(ours) == before


def test_the_command_names_what_it_refuses(theirs, ours, tmp_path, capsys):
    edit(theirs / PLACE, lambda data: data["last"].update(rel_l2=0.5))
    command = ["merge", str(theirs), "--into", str(ours)]
    assert cli.main(command) == 2
    out, err = capsys.readouterr()
    assert "1 copied, 1 refused" in out and f"{PLACE}: refused: " in err and err.count("\n") == 1
    assert cli.main([*command, "--keep", "theirs"]) == 0
    assert "1 replaced, 1 same" in capsys.readouterr().out
    assert read_run(ours / PLACE).last.rel_l2 == 0.5
    assert cli.main(["merge", str(tmp_path / "nowhere"), "--into", str(ours)]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_a_run_of_other_code_is_named(theirs, tmp_path, capsys):
    edit(theirs / OTHER, lambda data: data["provenance"].update(fingerprint="0" * 16))
    assert cli.main(["merge", str(theirs), "--into", str(tmp_path / "new")]) == 0
    out, err = capsys.readouterr()
    assert "2 copied" in out and err.startswith(f"{OTHER}: was made by other code") and err.count("\n") == 1
