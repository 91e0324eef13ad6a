"""The campaign: what is planned, what it is expected to take, and that it is stopped, taken up and archived."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.runs.archive import ARCHIVE
from solvers.runs.place import Place
from solvers.runs.record import read_run
from tests.conftest import CATALOGUE, ROOT, copy_project, git
from workflow.campaign.expected import Expectation, records_in
from workflow.campaign.plan import FILE, CampaignFile, Task, left_out, plan_of, read_campaign
from workflow.manifest import read_manifest

CAMPAIGN = read_campaign(CATALOGUE)
RECORDS = records_in([ROOT / ARCHIVE], CAMPAIGN.scale)
EXPECTED = Expectation(RECORDS, CATALOGUE)
GROUP = {"name": "a", "title": "", "backends": ["torch"], "numerics": ["paper"], "seeds": [0]}
HEAT = GROUP | {"experiments": ["heat-0.3"], "methods": ["pinn", "mmpinn"]}


def planned(
    campaign: dict | CampaignFile, archive: Path = Path("nowhere"), expected=lambda spec: 1.0
) -> list[Task]:
    return plan_of(CampaignFile.model_validate(campaign), CATALOGUE, archive, expected)


def rows_of(tasks: list[Task]) -> set[tuple[str, str]]:
    return {(task.spec.experiment, task.spec.method) for task in tasks}


def test_every_row_of_the_paper_is_planned_or_left_out_for_a_reason():
    """No row is forgotten, none is in both."""
    rows = {(row.experiment, row.method) for row in read_manifest(CATALOGUE).rows}
    left = {(experiment, method) for experiment, method, _ in left_out(CAMPAIGN, CATALOGUE)}
    tasks = planned(CAMPAIGN)
    assert rows_of(tasks) | left == rows and not rows_of(tasks) & left
    assert len({Place.of(task.spec) for task in tasks}) == len(tasks)
    assert {task.spec.scale for task in tasks} == {"paper"}


def test_only_rows_with_the_optimizer_are_taken():
    strict = [task for task in planned(CAMPAIGN) if task.group == "strict"]
    used = [{stage["optimizer"] for level in t.spec.levels for stage in level.stages} for t in strict]
    assert strict and all("lbfgs" in optimizers for optimizers in used)
    assert ("helmholtz-1-8", "lra-ifnn") not in rows_of(strict)


def test_a_run_is_in_the_first_group_that_names_it_and_the_cheapest_come_first():
    later = HEAT | {"name": "b", "methods": ["mmpinn"], "seeds": [0, 1]}
    seconds = {"pinn": 2.0, "mmpinn": 1.0}
    tasks = planned({"scale": "smoke", "groups": [HEAT, later]}, expected=lambda spec: seconds[spec.method])
    found = [(task.group, task.spec.method, task.spec.seed) for task in tasks]
    assert found == [("a", "mmpinn", 0), ("a", "pinn", 0), ("b", "mmpinn", 1)]
    short = HEAT | {"at_most_seconds": 1.5}
    tasks = planned({"scale": "smoke", "groups": [short]}, expected=lambda spec: seconds[spec.method])
    assert rows_of(tasks) == {("heat-0.3", "mmpinn")}


def test_archived_runs_are_skipped_but_for_those_that_are_to_be_replaced_and_old():
    first = GROUP | {"backends": ["jax"], "experiments": ["heat-0.15"], "methods": ["pinn"]}
    made = {
        r.spec.method: r.provenance.finished
        for r in RECORDS
        if (r.spec.experiment, r.spec.backend, r.spec.numerics, r.spec.seed) == ("heat-0.15", "jax", "paper", 0)
    }["pinn"]
    entry = {"experiment": "heat-0.15", "methods": ["pinn"], "backend": "jax", "numerics": "paper", "seeds": [0]}
    for before, replaced in ((None, ""), (made, ""), ("2100-01-01T00:00:00+00:00", "old sums")):
        entries = [entry | {"made_before": before, "because": "old sums"}] if before else []
        (task,) = planned({"scale": "paper", "groups": [first], "replace": entries}, ROOT / ARCHIVE)
        assert (task.archived, task.replaces) == (not replaced, replaced)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda c: c["groups"][0].update(methods=["pinm"]), "groups.0.methods"),
        (lambda c: c["groups"][0].update(backends=["jaxx"]), "groups.0.backends"),
        (lambda c: c["without"][0].update(experiment="heat-9"), "without.0.experiment"),
        (lambda c: c["replace"][0].update(methods=["mff"]), "replace.0.methods"),
        (lambda c: c["replace"][0].update(made_before="2026-11-24T18:46:52"), "replace.0.made_before"),
        (lambda c: c["groups"][1].update(name=c["groups"][0]["name"]), "groups.1.name"),
        (lambda c: c["groups"][0].update(optimiser="lbfgs"), "groups.0.optimiser"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path, change, key):
    campaign = yaml.safe_load((ROOT / "config" / FILE).read_text())
    change(campaign)
    for name in ("experiments", "methods", "numerics", "scales", "studies", "paper"):
        (tmp_path / name).symlink_to(ROOT / "config" / name)
    (tmp_path / FILE).write_text(yaml.safe_dump(campaign))
    with pytest.raises(ConfigurationError, match=rf"{FILE}: {key}"):
        read_campaign(Catalogue(tmp_path))


def test_a_run_is_expected_to_take_what_its_row_took():
    known = [r for r in RECORDS if r.spec.experiment == "poisson-4-150" and r.spec.method == "pinn"]
    jax = [sum(r.cpu_seconds.values()) for r in known if r.spec.backend == "jax"]
    assert EXPECTED(known[0].spec.model_copy(update={"seed": 99})) == pytest.approx(sum(jax) / len(jax))


def test_the_seconds_of_a_row_are_foretold_without_it():
    """Leaving out a row's own runs: most within a factor of three, none by more than ten."""
    ratios = []
    for record in RECORDS:
        if record.spec.seed == 0 and min(s.iterations for s in record.stages[:2]) > 100:
            row = (record.spec.experiment, record.spec.method, record.spec.backend, record.spec.numerics)
            others = [
                r for r in RECORDS if (r.spec.experiment, r.spec.method, r.spec.backend, r.spec.numerics) != row
            ]
            found = Expectation(others, CATALOGUE)(record.spec)
            ratios.append(max(found / sum(record.cpu_seconds.values()), sum(record.cpu_seconds.values()) / found))
    assert len(ratios) > 20
    assert sorted(ratios)[len(ratios) // 2] < 2 and sorted(ratios)[int(0.9 * len(ratios))] < 5, sorted(ratios)


def test_without_any_run_there_is_a_guess():
    assert Expectation([], CATALOGUE)(RECORDS[0].spec) > 0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clean checkout with a campaign of two short runs."""
    copy_project(tmp_path)
    campaign = {"scale": "smoke", "groups": [HEAT], "replace": []}
    (tmp_path / "config" / FILE).write_text(yaml.safe_dump(campaign))
    (tmp_path / ".gitignore").write_text("__pycache__/\n/results/*\n!/results/archive/\n")
    commit(tmp_path)
    return tmp_path


def commit(project: Path) -> None:
    if not (project / ".git").exists():
        git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", "all")


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(project)}
    return subprocess.Popen(
        [sys.executable, "-m", "workflow.campaign", *arguments],
        cwd=project,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def campaign(project: Path, *arguments: str) -> tuple[int, str]:
    process = start(project, *arguments)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def edit_campaign(project: Path, change) -> None:
    path = project / "config" / FILE
    found = yaml.safe_load(path.read_text())
    change(found)
    path.write_text(yaml.safe_dump(found))


def test_runs_are_made_archived_skipped_and_replaced(project: Path):
    code, output = campaign(project, "--seconds", "0.001")
    assert code == 1 and "2 would take longer than the time left" in output
    code, output = campaign(project, "--cores", "2")
    assert code == 0, output
    assert output.count("archived in") == 2 and "2 of 2 runs archived" in output
    archived = list(Place.glob(project / ARCHIVE))
    assert [read_run(folder).status for folder in archived] == ["finished", "finished"]
    with (project / "Snakefile").open("a") as stream:
        stream.write("# more\n")
    edit_campaign(project, lambda found: found["groups"][0].update(seeds=[1]))
    code, output = campaign(project)
    assert code == 2 and "commit first" in output
    # Made again: the finished runs are those of the results, which are taken as they are.
    entry = {"experiment": "heat-0.3", "methods": ["pinn"], "backend": "torch", "numerics": "paper", "seeds": [0]}
    entry |= {"made_before": "2100-01-01T00:00:00+00:00", "because": "a test"}
    edit_campaign(project, lambda found: found.update(groups=[HEAT], replace=[entry]))
    commit(project)
    notes = [(folder / "archive.json").stat().st_mtime_ns for folder in archived]
    code, output = campaign(project)
    assert code == 0 and "in the place of an older one" in output and "1 of 1 runs archived" in output
    changed = [
        (folder / "archive.json").stat().st_mtime_ns > note for folder, note in zip(archived, notes, strict=True)
    ]
    assert dict(zip([folder.parts[-4] for folder in archived], changed, strict=True)) == {
        "mmpinn": False,
        "pinn": True,
    }


def test_a_campaign_that_is_stopped_goes_on_from_its_checkpoint(project: Path):
    edit_campaign(project, lambda found: found["groups"][0].update(methods=["pinn"]))
    scale = project / "config/scales/smoke.yaml"
    scale.write_text(scale.read_text().replace("adam: {iterations: 20}", "adam: {iterations: 2000}"))
    commit(project)
    place = Place("smoke", "heat-0.3", "", "pinn", "torch", "paper", 0)
    state = place.folder(project / "results").parent / ".0.checkpoint/state.safetensors"
    interval = ["--checkpoint-interval", "0.1"]
    process = start(project, *interval)
    for _ in range(600):
        if state.exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "goes on from its checkpoint" in output, output
    assert state.exists() and not place.folder(project / ARCHIVE).exists()
    code, output = campaign(project)
    assert code == 0 and "1 of 1 runs archived" in output
    record = read_run(place.folder(project / ARCHIVE))
    assert record.status == "finished" and len(record.restarts) == 1 and record.restarts[0].iteration > 0
