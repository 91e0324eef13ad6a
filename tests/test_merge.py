"""Results of several machines: what is copied, what is skipped, what is refused; others' files are never run."""

import shutil
from pathlib import Path

import pytest

from solvers import cli
from solvers.configuration.catalogue import Catalogue
from solvers.runs.files import folder_beside
from solvers.runs.merge import merge_results
from solvers.runs.place import run_folder
from solvers.runs.record import FILES, RecordError, read_run
from solvers.runs.run import run
from tests.conftest import ROOT, smoke_spec
from tests.faults.folders import DAMAGES, edit, other_fields, other_history, other_weights, sign
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
        folder_beside(PLACE) / "state",
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


CONFLICTS = [
    (lambda f: edit(f, lambda d: d["last"].update(rel_l2=0.5)), "their numbers"),
    (lambda f: edit(f, lambda d: d.update(status="diverged")), "their numbers"),
    (lambda f: edit(f, lambda d: d["provenance"].update(fingerprint="0" * 16)), "the code that made them"),
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


@pytest.mark.parametrize("keep", [None, "theirs"])
@pytest.mark.parametrize("name", [name for name in DAMAGES if DAMAGES[name].words])
def test_damaged_and_foreign_runs_are_never_copied(theirs, ours, tmp_path, monkeypatch, name, keep):
    monkeypatch.chdir(tmp_path)
    for place in (PLACE, OTHER):
        DAMAGES[name](theirs / place)
    before = contents(ours)
    merged = merge_results([theirs], ours, keep)
    assert set(merged.refused) == {PLACE, OTHER} and contents(ours) == before
    assert all(DAMAGES[name].words in reason for reason in merged.refused.values())
    assert not (tmp_path / "pwned").exists()


def test_what_is_unfinished_or_damaged_here_is_replaced_only_on_request(made, ours):
    (ours / PLACE / "run.json").write_text("{")
    (ours / OTHER).mkdir(parents=True)
    merged = merge_results([made], ours)
    assert "damaged" in merged.refused[PLACE] and "not finished" in merged.refused[OTHER]
    assert merge_results([made], ours, "theirs").replaced == [PLACE, OTHER]
    assert contents(ours) == contents(made)


ONE_EACH = ["fields.npz missing", "encrypted", "weights BF16", "history texts", "run.json []"]


@pytest.mark.parametrize("name", ONE_EACH)
def test_a_damaged_run_here_gives_way_to_a_sound_one_on_request(made, ours, name):
    DAMAGES[name](ours / PLACE)
    assert "damaged" in merge_results([made], ours).refused[PLACE]
    assert PLACE in merge_results([made], ours, "theirs").replaced
    assert contents(ours) == contents(made)


def test_what_is_no_folder_here_is_refused_by_name_and_the_rest_merged(made, tmp_path):
    (tmp_path / PLACE.parent).mkdir(parents=True)
    (tmp_path / PLACE).symlink_to(tmp_path / "nowhere")
    merged = merge_results([made], tmp_path, "theirs")
    assert merged.copied == [OTHER] and "is no folder" in merged.refused[PLACE]


def test_a_run_in_progress_here_is_left_alone(made, tmp_path):
    folder = in_progress(SPEC, tmp_path)
    merged = merge_results([made], tmp_path, "theirs")
    assert "at this moment" in merged.refused[PLACE] and folder_beside(folder).exists()


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


def other_catalogue(folder: Path, name: str, old: str, new: str) -> Catalogue:
    """A copy of the catalogue with one change."""
    shutil.copytree(ROOT / "config", folder)
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return Catalogue(folder)


EPSILON = ("experiments/heat-0.3.yaml", "epsilon: 0.3", "epsilon: 0.7")


@pytest.mark.parametrize("overrides", [(), ("optimizers.adam.learning_rate=0.01",)])
def test_a_run_of_another_specification_is_refused_with_the_difference(tmp_path, overrides):
    theirs = other_catalogue(tmp_path / "config", *EPSILON)
    spec = theirs.resolve("heat-0.3", "pinn", "torch", scale="smoke", overrides=overrides)
    run(spec, run_folder(spec, tmp_path / "theirs"))
    place = run_folder(spec, Path())
    merged = merge_results([tmp_path / "theirs"], tmp_path / "ours")
    assert "another specification: problem.epsilon is 0.7, here 0.3" in merged.refused[place]
    assert not merged.copied and not (tmp_path / "ours").exists()
    assert merge_results([tmp_path / "theirs"], tmp_path / "ours", catalogue=theirs).copied == [place]


def test_overrides_are_resolved_here(tmp_path):
    spec = smoke_spec(("heat-0.3", "pinn"), "torch", "paper", overrides=["problem.epsilon=0.7"])
    run(spec, run_folder(spec, tmp_path / "theirs"))
    assert merge_results([tmp_path / "theirs"], tmp_path / "ours").copied == [run_folder(spec, Path())]


def test_a_run_that_is_impossible_here_is_refused(made, tmp_path):
    fewer = other_catalogue(tmp_path / "config", *EPSILON)
    (fewer.folder / "experiments/heat-0.3.yaml").unlink()
    merged = merge_results([made], tmp_path / "ours", catalogue=Catalogue(fewer.folder))
    assert all("no such run is possible here" in reason for reason in merged.refused.values()) and merged.refused
