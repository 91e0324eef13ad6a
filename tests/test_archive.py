"""The archive: what may enter it, what is left of a run, and that what is tracked is what was archived."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from solvers import cli
from solvers.configuration.identity import is_current, spec_hash
from solvers.runs.archive import (
    ARCHIVE,
    MOST_BYTES,
    SMALL,
    WHOLE,
    archive_run,
    archived_specs,
    check_trusted,
    translate,
    verify,
)
from solvers.runs.contents import check_run
from solvers.runs.place import Place, run_folder
from solvers.runs.provenance import is_run_of
from solvers.runs.record import (
    RecordError,
    check_specification,
    checksum_of,
    read_data,
    read_fields,
    read_history,
    read_run,
    sha256,
)
from solvers.runs.run import run
from solvers.runs.upgrade import text_hash
from tests.conftest import ROOT, smoke_spec
from workflow.analysis import register
from workflow.analysis.figures import read_runs
from workflow.analysis.summary import SUMMARY, summarise

TRACKED = list(Place.glob(ROOT / ARCHIVE))


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
    drawn = [one for one in register.FIGURES if one.source == register.RUNS and one.applies(register.Shown(()))]
    assert len(drawn) >= 8
    for figure in drawn:
        figure.load()(read_runs([target]))


def test_long_histories_and_large_weights_are_thinned(tmp_path):
    spec = smoke_spec(
        ("heat-0.3", "mmpinn"),
        "torch",  # in tests JAX is not optimized
        "paper",
        overrides=["network.width=150", "network.depth=3", "evaluation.every=1", "optimizers.adam.iterations=300"],
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


def test_a_small_archived_run_says_what_a_whole_one_does(tmp_path):
    folder = finished_run(tmp_path / "run")
    whole, small = (
        archive_run(folder, tmp_path / name, limits=limits)
        for name, limits in (("whole", WHOLE), ("small", SMALL))
    )
    assert not (small / "weights.safetensors").exists() and (whole / "weights.safetensors").exists()
    nodes = [read_fields(one)["exact"].size for one in (small, whole, folder)]
    assert nodes[0] <= SMALL.nodes and nodes == sorted(nodes)
    columns = [name for name in SUMMARY.columns if "_to_" not in name and name != "folder"]
    first, second = (summarise([folder])[columns] for folder in (whole, small))
    pd.testing.assert_frame_equal(first, second)


def test_a_diverged_run_may_be_archived(tmp_path):
    folder = finished_run(tmp_path / "run", overrides=["optimizers.adam.learning_rate=1e6"])
    assert read_run(archive_run(folder, tmp_path / "archive")).status == "diverged"


def spoil_weights(folder: Path) -> None:
    arrays = load_file(folder / "weights.safetensors")
    arrays["last/layer0.weight"] = arrays["last/layer0.weight"] + np.float32(0.1)
    save_file(arrays, folder / "weights.safetensors")
    edit(folder, lambda data: None)


def weights(folder: Path, value: float) -> None:
    arrays = load_file(folder / "weights.safetensors")
    save_file({name: np.full_like(array, value) for name, array in arrays.items()}, folder / "weights.safetensors")
    edit(folder, lambda data: None)


def other_fields(folder: Path) -> None:
    """Those of another epsilon."""
    with np.load(folder / "fields.npz") as found:
        fields = dict(found)
    fields["exact"] = (
        smoke_spec(("heat-0.15", "mmpinn"), "torch", "paper")
        .build_problem()
        .solution(np.stack(np.meshgrid(fields["x"], fields["t"], indexing="ij"), -1).reshape(-1, 2))
        .reshape(fields["exact"].shape)
    )
    np.savez_compressed(folder / "fields.npz", **fields)
    edit(folder, lambda data: None)


@pytest.mark.parametrize("version", [1, 2])
def test_an_error_edited_under_an_older_schema_is_found(tmp_path, version):
    """Schema 1 has no checksums."""
    folder = finished_run(tmp_path / "run")
    edit(folder, lambda data: data["last"].update(rel_l2=1e-9))
    age(folder, version)
    with pytest.raises(RecordError, match=r"last\.rel_l2: 1e-09: the weights give"):
        check_trusted(folder)


@pytest.mark.parametrize("method", [("poisson-2-50", "mmpinn-mff"), ("klein-gordon-5", "pinn"), ("pulse", "pinn")])
@pytest.mark.parametrize("numerics", ["paper", "strict"])
def test_whatever_a_run_saves_is_what_is_computed_again(tmp_path, method, numerics):
    """On a grid that has to be thinned, too."""
    spec = smoke_spec(method, "jax", numerics, overrides=["evaluation.grid=401"])
    run(spec, tmp_path / "run")
    edit(tmp_path / "run", lambda data: data["provenance"].update(commit="0" * 40, uncommitted_changes=False))
    check_trusted(tmp_path / "run")


def test_an_archived_run_in_anothers_place_is_refused(tmp_path):
    target = archive_run(finished_run(tmp_path / "run"), tmp_path / "archive")
    assert [spec.seed for spec in archived_specs("smoke", tmp_path / "archive")] == [0]
    shutil.copytree(target, target.with_name("1"))
    with pytest.raises(RecordError, match="is the record of"):
        list(archived_specs("smoke", tmp_path / "archive"))


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
        (lambda f: weights(f, np.nan), "holds numbers that are not finite"),
        (lambda f: edit(f, lambda d: d["last"].update(rel_l2=1e-9)), "last.rel_l2: 1e-09: the weights give"),
        (lambda f: edit(f, lambda d: d["last"].update(rel_l2=-0.5)), "last.rel_l2"),
        (lambda f: edit(f, lambda d: d["last"].update(rel_l2=None)), "last.rel_l2: None"),
        (lambda f: edit(f, lambda d: d["best"].update(maximum=1e-9, mean_absolute=1e-10)), "best.mean_absolute"),
        (
            lambda f: edit(f, lambda d: d["last"].update(maximum=1e9)),
            "last.maximum: 1000000000.0: the weights give",
        ),
        (lambda f: edit(f, lambda d: d["last"].update(maximum=1e-9)), "is above the maximum"),
        (lambda f: edit(f, lambda d: d.update(iterations=700)), "iterations: 700: those of the stages are"),
        (lambda f: edit(f, lambda d: d["stages"][0].update(function_evaluations=-1)), "function_evaluations"),
        (lambda f: edit(f, lambda d: d["seconds"].update(training=-1.0)), "seconds.training"),
        (other_fields, "exact: is not that of the specification"),
        (lambda f: edit(f, lambda d: d["provenance"].update(changed_meanwhile=["commit"])), "changed_meanwhile"),
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


def old_specification(spec: dict) -> dict:
    """The layout of schemas 1 and 2: one balancing rule, exponents by level, groups without a name."""
    old = {key: value for key, value in spec.items() if key not in ("grouping", "levels")}
    rules = [dict(level["balancing"]) for level in spec["levels"]]
    exponents = [rule.pop("exponents", {}) for rule in rules]
    stages = [
        [{k: v for k, v in stage.items() if k not in ("objective", "precision")} for stage in level["stages"]]
        for level in spec["levels"]
    ]
    levels = [{"exponents": e, "stages": s} for e, s in zip(exponents, stages, strict=True)]
    groups = spec["grouping"]["boxes"] if spec["grouping"] else {}
    return old | {"groups": groups, "balancing": rules[0], "levels": levels}


def age(folder: Path, version: int) -> None:
    """Make the record one of an older schema, as that one wrote it."""
    data = json.loads((folder / "run.json").read_text())
    data |= {"schema_version": version, "spec": old_specification(data["spec"])}
    data["provenance"]["spec_hash"] = text_hash(data["spec"])
    if version == 1:
        data = {key: value for key, value in data.items() if key not in ("restarts", "sha256", "checksum")}
    else:
        data["checksum"] = checksum_of(data)
    (folder / "run.json").write_text(json.dumps(data, indent=2))


METHODS = [("pulse", "mmpinn-grs"), ("heat-0.3", "pinn"), ("poisson-4-150", "mff")]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_a_run_of_an_older_schema_is_read_and_archived_in_this_one(tmp_path, method, version):
    folder = finished_run(tmp_path / "run", method)
    record = read_run(folder)
    age(folder, version)
    written = (folder / "run.json").read_bytes()
    assert check_run(folder).spec == record.spec
    assert not is_run_of(record.spec, read_data(folder)["provenance"])
    target = archive_run(folder, tmp_path / "archive")
    note, archived = verify(target), read_run(target)
    assert (note.translated.schema_version, note.translated.sha256) == (version, sha256(written))
    assert (folder / "run.json").read_bytes() == written
    assert is_run_of(record.spec, read_data(target)["provenance"])
    assert archived.provenance == record.provenance and check_specification(target) == archived
    changing = {"checksum", "sha256"}
    assert archived.model_dump(exclude=changing) == record.model_dump(exclude=changing)


@pytest.mark.parametrize("version", [1, 2])
def test_an_archived_run_is_translated_where_it_stands(tmp_path, version):
    target = archive_run(finished_run(tmp_path / "run", METHODS[0]), tmp_path / "archive")
    record, before = read_run(target), verify(target)
    assert translate(target) == before and read_data(target)["schema_version"] == 3
    age(target, version)
    written = (target / "run.json").read_bytes()
    with pytest.raises(RecordError, match="is not the file that was archived"):
        translate(target)
    seal(target)
    note = translate(target)
    assert verify(target) == note and note.archived == before.archived
    assert (note.translated.schema_version, note.translated.sha256) == (version, sha256(written))
    assert read_run(target).spec == record.spec and read_run(target).provenance == record.provenance
    assert translate(target) == note


def seal(folder: Path) -> None:
    """Make the note that of the record as it is."""
    note = json.loads((folder / "archive.json").read_text())
    note["sha256"]["run.json"] = sha256((folder / "run.json").read_bytes())
    (folder / "archive.json").write_text(json.dumps(note))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda spec: spec["levels"][0]["exponents"].update(residual=5.0), "its hash is not"),
        (lambda spec: spec.pop("balancing"), "not a run of schema"),
        (lambda spec: spec.update(levels=3), "not a run of schema"),
        (lambda spec: spec["levels"][0].update(stages=[None]), "not a run of schema"),
        (lambda spec: spec.update(groups=["a"]), "not a run of schema"),
    ],
)
def test_a_record_of_an_older_schema_that_was_edited_is_refused(tmp_path, version, change, words):
    folder = finished_run(tmp_path / "run")
    age(folder, version)
    data = json.loads((folder / "run.json").read_text())
    change(data["spec"])
    signed = data | ({"checksum": checksum_of(data)} if version > 1 else {})
    (folder / "run.json").write_text(json.dumps(signed))
    with pytest.raises(RecordError, match=words):
        check_run(folder)
    if version > 1:
        (folder / "run.json").write_text(json.dumps(data))
        with pytest.raises(RecordError, match=r"was it edited|not a run of schema"):
            read_run(folder)


def test_a_hash_of_another_version_is_no_sign_of_an_edit(tmp_path):
    folder = finished_run(tmp_path / "run")
    edit(folder, lambda data: data["provenance"].update(spec_hash="0-0000000000000000"))
    assert check_run(folder).spec == smoke_spec(("heat-0.3", "mmpinn"), "torch", "paper")
    edit(folder, lambda data: data["provenance"].update(spec_hash=spec_hash(read_run(folder).spec)[:-1] + "x"))
    with pytest.raises(RecordError, match="its hash is not"):
        check_run(folder)


def test_there_is_an_archive():
    assert TRACKED


@pytest.mark.parametrize("folder", TRACKED, ids=lambda folder: "-".join(folder.parts[-6:]))
def test_tracked_runs_are_as_archived(folder):
    verify(folder)
    record = read_run(folder)
    assert read_data(folder)["schema_version"] == 3 and is_current(record.provenance.spec_hash)
    assert check_specification(folder) == record
    assert run_folder(record.spec, ROOT / ARCHIVE) == folder
    assert sum(path.stat().st_size for path in folder.iterdir()) < MOST_BYTES


def test_small_runs_are_archived_from_the_command_line(tmp_path, capsys):
    folder = finished_run(tmp_path / "run")
    assert cli.main(["archive", "--small", "--to", str(tmp_path / "archive"), str(folder)]) == 0
    target = Path(capsys.readouterr().out.strip())
    assert verify(target).left_out[-1].startswith("weights: all")
