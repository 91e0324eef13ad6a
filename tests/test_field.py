"""Groups of experiments beside the paper's, and errors that others publish for their problems."""

import html
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from problems import load
from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.study import study_of
from solvers.runs.run import run
from tests.conftest import CATALOGUE, ROOT, smoke_spec
from tests.summaries import seeds_of, summary_of
from workflow.analysis import register
from workflow.analysis.published import published
from workflow.analysis.summary import summarise
from workflow.analysis.writing import write_table
from workflow.page.content import Inputs, write_page
from workflow.page.equations import formulas
from workflow.sweep import Sweep

GROUPS = CATALOGUE.groups
FIELD = [name for names in GROUPS.values() for name in names]


@pytest.fixture
def edited(tmp_path):
    """The shipped configuration with changes of the wave equation's file."""

    def make(**changes: object) -> Catalogue:
        shutil.copytree(ROOT / "config", tmp_path / "config")
        path = tmp_path / "config/experiments/wave.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
        return Catalogue(tmp_path / "config")

    return make


def test_a_group_is_named_for_its_experiments():
    assert len(FIELD) >= 8 and "helmholtz-1-4" in GROUPS["field"]
    named = study_of({"experiments": "heat-0.3,field"}, CATALOGUE).experiments
    assert named == ("heat-0.3", *GROUPS["field"])
    study = study_of({"study": "field"}, CATALOGUE)
    assert study.experiments == tuple(GROUPS["field"]) and study.methods[-1] == "bfgs"


def test_the_papers_studies_have_none_of_them():
    for name in ("paper", "curvature"):
        study = study_of({"study": name}, CATALOGUE)
        assert not set(study.experiments) & set(FIELD) and not study.published
        assert "published" not in Sweep.from_config({"study": name, "seeds": 1}, CATALOGUE).tables()


@pytest.mark.parametrize("name", FIELD)
def test_they_claim_no_number_of_the_authors(name):
    experiment = CATALOGUE.experiment(name)
    assert not experiment.in_paper
    assert all(method.authors.rel_l2 is None for method in experiment.methods.values())
    for method in experiment.methods:
        for scale in CATALOGUE.names("scales"):
            CATALOGUE.resolve(name, method, "torch", scale=scale)


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"experiments": "field,wave"}, ["experiments", "field,wave", "each thing once; all and field"]),
        ({"experiments": "fields"}, ["experiments", "fields", "did you mean field"]),
        ({"experiments": "heat-0.3", "methods": "field"}, ["methods", "field", "unknown"]),
    ],
)
def test_mistakes_in_what_is_chosen_are_named(config, parts):
    with pytest.raises(ConfigurationError) as refused:
        study_of(config, CATALOGUE)
    assert all(part in str(refused.value) for part in parts)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"in_paper": True}, ["wave.yaml", "in_paper", "must be false for one of a group"]),
        ({"group": "heat-0.3"}, ["wave.yaml", "group", "heat-0.3", "another name"]),
        ({"group": "all"}, ["wave.yaml", "group", "all", "another name"]),
        (
            {"published": [{"method": "x", "rel_l2": 0, "source": "y"}]},
            ["wave.yaml", "published.0.rel_l2", "greater"],
        ),
        (
            {"published": [{"method": "x", "rel_l2": 1, "source": "y", "here": "pin"}]},
            ["wave.yaml", "published.0.here.pin", "did you mean pinn"],
        ),
    ],
)
def test_mistakes_in_a_file_are_named(edited, changes, parts):
    with pytest.raises(ConfigurationError) as refused:
        edited(**changes).experiment("wave")
    assert all(part in str(refused.value) for part in parts)


def test_published_errors_stand_beside_the_best_here():
    runs = [
        *seeds_of([1e-3, 4e-3], experiment="convection-30", method="pinn"),
        *seeds_of([1e-2, None], experiment="convection-30", method="mmpinn"),
        *seeds_of([1e-3], experiment="heat-0.3", method="pinn"),
    ]
    (row,) = published(summary_of(*runs), CATALOGUE).to_dict("records")
    (theirs,) = CATALOGUE.experiment("convection-30").published
    assert row["best method here"] == "pinn" and row["seeds"] == 2
    assert row["its median relative L2"] == pytest.approx(2.5e-3)
    assert row["here over published"] == pytest.approx(2.5e-3 / theirs.rel_l2)
    assert (row["published"], row["source"]) == (theirs.method, theirs.source)
    nothing = published(summary_of(*seeds_of([1e-3], experiment="heat-0.3", method="pinn")), CATALOGUE)
    assert list(nothing.columns) == ["note"]


@pytest.mark.parametrize(("error", "met"), [(6e-9, "yes"), (7e-9, "no"), (None, "no")])
def test_a_published_error_is_met_by_the_method_with_its_set_up_within_a_factor_of_three(error, met):
    runs = [*seeds_of([error], experiment="helmholtz-1-4", method="spring-periodic")]
    runs += seeds_of([1e-9], experiment="helmholtz-1-4", method="bfgs")
    table = published(summary_of(*runs), CATALOGUE).set_index("published")
    theirs = table.loc["SPRING, 4 x 30, periodic inputs"]
    assert theirs["published relative L2"] == 2e-9
    assert (theirs["their set-up here"], theirs.met, theirs["its seeds"]) == ("spring-periodic", met, 1)
    assert theirs["best method here"] == "bfgs", "the best is told beside it"
    others = table.drop("SPRING, 4 x 30, periodic inputs")
    assert set(others.met) == {""} and set(others["its seeds"]) == {0}, "not run, or no set-up of theirs"


NEW = (("allen-cahn", "bfgs"), ("convection-30", "mmpinn"), ("wave", "bfgs"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[tuple[str, str], Path]:
    """Runs on the problems that only the group has, at the smoke scale."""
    root = tmp_path_factory.mktemp("runs")
    folders = {method: root / "-".join(method) for method in NEW}
    for method, folder in folders.items():
        record = run(smoke_spec(method, "torch", "paper"), folder)
        assert record.status == "finished" and np.isfinite(record.last.rel_l2)
    return folders


def test_its_methods_train_and_have_a_part_of_the_page(trained, tmp_path):
    summary = summarise(list(trained.values()))
    summary.to_csv(tmp_path / "summary.csv", index=False)
    shown = register.Shown((), published=True)
    for entry in (entry for entry in register.TABLES if entry.applies(shown)):
        write_table(entry.load()(summary, CATALOGUE), tmp_path, entry.name)
    tables = sorted(path for path in tmp_path.glob("*.csv") if path.stem != "summary")
    write_page(tmp_path / "index.html", Inputs(tmp_path / "summary.csv", tables, [], {"study": "field"}))
    text = html.unescape((tmp_path / "index.html").read_text(encoding="utf-8"))
    parts = text.split('<section class="group" id="group-field">')
    assert len(parts) == 2 and '<section class="experiment"' not in parts[0]
    assert all(f'id="{name}"' in parts[1] for name, _ in NEW)
    for experiment in {name for name, _ in NEW}:
        own = parts[1].partition(f'id="{experiment}"')[2].partition("</section>")[0]
        assert all(each.method in own for each in CATALOGUE.experiment(experiment).published)
    assert "others publish errors for allen-cahn, convection-30, wave" in parts[0]


def test_a_pair_is_written_as_what_is_the_same_on_two_faces():
    (conditions,) = (line.mathml for line in formulas(load("allen-cahn")) if line.name == "Conditions")
    assert conditions.count("the same on") == 2 and "given" not in conditions
    (domain,) = (line.mathml for line in formulas(load("convection")) if line.name == "Domain")
    assert "<mi>π</mi>" in domain, "2 pi, not its digits"
