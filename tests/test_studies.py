"""Any key of a specification can be set, and be an axis of a study."""

import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from solvers.cli import main
from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.overrides import Override, parse_overrides
from solvers.configuration.spec import RunSpec
from solvers.configuration.study import Study, read_config, study_of
from solvers.runs.command import command_line
from solvers.runs.place import run_folder
from tests.conftest import CATALOGUE, ROOT
from workflow.sweep import Sweep

SINGLE = "levels=[{stages: [adam, lbfgs]}]"


def resolved(*overrides: str, method: str = "mmpinn", experiment: str = "heat-0.3") -> RunSpec:
    return CATALOGUE.resolve(experiment, method, "jax", scale="smoke", overrides=overrides)


def exponents(spec: RunSpec) -> dict[str, float]:
    return spec.levels[0].balancing["exponents"]


def stages(spec: RunSpec) -> list[list[tuple[str, int]]]:
    return [[(stage["optimizer"], stage["iterations"]) for stage in level.stages] for level in spec.levels]


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("levels.0.balancing.exponents.residual=2", lambda spec: exponents(spec)["residual"] == 2),
        ("levels.1.stages.0.iterations=50", lambda spec: stages(spec)[1] == [("lbfgs", 50)]),
        ("levels.0.stages.1.objective=log", lambda spec: spec.levels[0].stages[1]["objective"] == "log"),
        ("balancing={name: sum}", lambda spec: {level.balancing["name"] for level in spec.levels} == {"sum"}),
        ("trial=hard-constraint", lambda spec: spec.terms == ("residual",)),
        ("inputs=raw", lambda spec: spec.inputs == "raw"),
        ("network.width=30", lambda spec: (spec.network["width"], spec.network["depth"]) == (30, 2)),
        ("network={name: ifnn, width: 7, depth: 2}", lambda spec: spec.network["name"] == "ifnn"),
        ("precision=float64", lambda spec: spec.precision == "float64"),
        ("points.residual={strategy: sobol, count: 64}", lambda spec: spec.points["residual"]["count"] == 64),
        ("evaluation.every=7", lambda spec: spec.evaluation.every == 7),
        (SINGLE, lambda spec: stages(spec) == [[("adam", 20), ("lbfgs", 15)]]),
        (
            "levels=[{stages: [{stage: lbfgs, iterations: 3}, {optimizer: adam, iterations: 4}]}]",
            lambda spec: stages(spec) == [[("lbfgs", 3), ("adam", 4)]],
        ),
        ("levels.0.stages=[lbfgs]", lambda spec: stages(spec)[0] == [("lbfgs", 15)]),
    ],
)  # fmt: skip
def test_any_key_of_a_specification_can_be_set(override, found):
    assert not found(resolved()) and found(resolved(override))


def test_groups_can_be_set_and_unset():
    boxes = "grouping={name: boxes, boxes: {late: {t: [0.5, 1]}}}"
    power = 'balancing={name: power, exponents: {supervised: 1, "residual.late": 3}}'
    spec = resolved(boxes, power)
    assert "residual.late" in spec.terms
    spec = resolved('levels.0.balancing.exponents."residual.ridge"=3', experiment="pulse", method="mmpinn-grs")
    assert spec.levels[0].balancing["exponents"]["residual.ridge"] == 3
    plain = resolved("grouping=null", "balancing={name: sum}", experiment="pulse", method="mmpinn-grs")
    assert plain.grouping is None and "residual" in plain.terms


def test_settings_of_one_level_win_over_those_of_all():
    spec = resolved("optimizers.lbfgs.iterations=9", "levels.2.stages.0.iterations=4", "stages.lbfgs.iterations=6")
    assert stages(spec) == [[("adam", 20), ("lbfgs", 9)], [("lbfgs", 9)], [("lbfgs", 4)]]


def test_an_override_may_enter_what_another_gives():
    spec = resolved(SINGLE, "levels.0.balancing.exponents.residual=3")
    assert len(spec.levels) == 1 and spec.levels[0].balancing["exponents"] == {"residual": 3}
    with pytest.raises(
        ConfigurationError, match=r"levels.0.stages.0.iterations: is in conflict with --set levels="
    ):
        resolved(SINGLE, "levels.0.stages.0.iterations=3")
    with pytest.raises(ConfigurationError, match=r"levels.1: no such index; allowed: 0"):
        resolved(SINGLE, "levels.1.balancing.exponents.residual=3")


@pytest.mark.parametrize(
    ("typed", "also"),
    [
        (["problem.epsilon=0.2", "inputs=raw"], ["inputs=raw", "problem.epsilon=2e-1"]),
        (["problem.epsilon=1.0"], ["problem.epsilon=1"]),
        (["points.residual={strategy: sobol, count: 64}"], ['points.residual={"count":64,"strategy":"sobol"}']),
        (['problem."epsilon"=0.2'], ["problem.epsilon=0.2"]),
        (["inputs=raw"], ['inputs="raw"']),
    ],
)
def test_a_point_has_one_place_however_it_is_typed(typed, also):
    first, second = resolved(*typed), resolved(*also)
    assert first.overrides == second.overrides
    assert run_folder(first) == run_folder(second) != run_folder(resolved())


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("a",), "null"), (("a",), "yes"), (("a",), ""), (("a",), " x "), (("a",), None), (("a",), True),
        (("a",), "1e3"), (("a.b", "c"), 1.5), (("a=b",), 'quo"te'), (('q"uote',), [1, {"b": "c"}]),
        (("a",), "ü; $(x)"),
    ],
)  # fmt: skip
def test_overrides_are_read_as_they_were_written(keys, value):
    written = str(Override(keys, value))
    (read,) = parse_overrides([written])
    assert (read.keys, read.value) == (keys, value) and str(read) == written


def test_the_command_of_a_run_survives_a_shell():
    spec = resolved(SINGLE, "points.residual={strategy: sobol, count: 64}")
    words = shlex.split(command_line(spec))
    given = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    assert resolved(*given) == spec


def study_with(tmp_path: Path, **changes) -> Catalogue:
    """A copy of the configuration with a study ``mine``: the example with some keys changed."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    data = yaml.safe_load((ROOT / "config/studies/exponents.yaml").read_text()) | changes
    (tmp_path / "config/studies/mine.yaml").write_text(
        yaml.safe_dump({key: value for key, value in data.items() if value != "dropped"})
    )
    return Catalogue(tmp_path / "config")


def runs_of(catalogue: Catalogue, **config) -> tuple[Study, list[RunSpec]]:
    study = study_of({"study": "mine", "scale": "smoke"} | config, catalogue)
    return study, list(study.specs(catalogue))


def test_a_study_is_the_product_of_its_axes(tmp_path):
    catalogue = study_with(tmp_path)
    study, specs = runs_of(catalogue, seeds=2, backends="all")
    assert len(specs) == 2 * 2 * 2 * 2 and len({run_folder(spec) for spec in specs}) == len(specs)
    assert {len(spec.levels) for spec in specs} == {1}
    found = [tuple(axis.value_of(spec.overrides) for axis in study.axes) for spec in specs[::4]]
    assert found == [(1, 1), (1, 3), (2, 1), (2, 3)]
    for spec in specs:
        exponents = spec.levels[0].balancing["exponents"]
        supervised, residual = (axis.value_of(spec.overrides) for axis in study.axes)
        assert (exponents["supervised"], exponents["residual"]) == (supervised, residual)


def test_every_run_of_a_study_is_that_of_its_command():
    _, specs = (study := study_of({"study": "exponents"})), list(study.specs(CATALOGUE))
    for spec in specs:
        words = shlex.split(command_line(spec))
        given = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        axes = (spec.experiment, spec.method, spec.backend, spec.numerics, spec.scale, spec.seed)
        assert CATALOGUE.resolve(*axes, given) == spec


def test_studies_share_the_place_of_a_point(tmp_path):
    axis = {"path": "levels.0.balancing.exponents.residual", "values": [3, 4]}
    fixed = {"levels": [{"stages": ["adam", "lbfgs"]}], "levels.0.balancing.exponents.supervised": 1}
    catalogue = study_with(tmp_path, axes=[axis], set=fixed)
    folders = [
        {run_folder(spec) for spec in study_of({"study": name}, catalogue).specs(catalogue)}
        for name in ("mine", "exponents")
    ]
    assert len(folders[0] & folders[1]) == 3, "three seeds at supervised 1, residual 3"


def test_a_study_may_change_the_runs_of_one_experiment(tmp_path):
    own = {"pulse": {"levels": [{"stages": ["adam"]}], "network.width": 5}}
    catalogue = study_with(tmp_path, experiments=["heat-0.3", "pulse"], set_in=own, set="dropped", axes="dropped")
    study, specs = runs_of(catalogue, seeds=1)
    assert [(len(spec.levels), len(spec.levels[0].stages)) for spec in specs] == [(3, 2), (1, 1)]
    assert [spec.network["width"] for spec in specs][1] == 5 != specs[0].network["width"]
    assert all(study.holds(spec) for spec in specs)
    assert not study.holds(specs[1].model_copy(update={"overrides": ()}))


@pytest.mark.parametrize(
    ("own", "at"),
    [
        ({"puls": {"network.width": 5}}, r"set_in.puls.*did you mean pulse"),
        ({"pulse": {"network.widht": 5}}, "set_in.pulse.network.widht.*pulse mmpinn cannot have it"),
        ({"pulse": [1]}, "set_in.pulse"),
    ],
)
def test_a_change_of_one_experiment_that_cannot_be_is_named(tmp_path, own, at):
    catalogue = study_with(tmp_path, experiments=["heat-0.3", "pulse"], set_in=own, set="dropped", axes="dropped")
    with pytest.raises(ConfigurationError, match=at) as caught:
        runs_of(catalogue)
    assert "config/studies/mine.yaml" in str(caught.value)


def test_a_study_may_be_based_on_another(tmp_path):
    base = yaml.safe_load((ROOT / "config/studies/exponents.yaml").read_text())
    catalogue = study_with(tmp_path)
    file = tmp_path / "config/studies/mine.yaml"
    file.write_text("based_on: exponents\ntitle: Mine\nseeds: 5\n")
    entry = catalogue.study("mine")
    assert (entry.title, entry.seeds, entry.description) == ("Mine", 5, base["description"])
    assert entry.axes == catalogue.study("exponents").axes and entry.set == base["set"]


@pytest.mark.parametrize("base", ["exponent", "mine", "other", 3, ["exponents"]])
def test_a_base_that_cannot_be_is_named(tmp_path, base):
    """Unknown, itself, or based on this one."""
    catalogue = study_with(tmp_path)
    (tmp_path / "config/studies/mine.yaml").write_text(yaml.safe_dump({"based_on": base}))
    (tmp_path / "config/studies/other.yaml").write_text("based_on: mine\n")
    with pytest.raises(ConfigurationError, match=r"based_on .*unknown name") as caught:
        catalogue.study("mine")
    assert "exponents" in str(caught.value)


VARIANTS = {
    "none": {},
    "narrow": {"network.width": 5},
    "flat": {"network.width": 5, "network.depth": 1},
}


def test_variants_change_several_keys_at_once(tmp_path):
    axis = {"name": "change", "variants": VARIANTS}
    study, specs = runs_of(study_with(tmp_path, axes=[axis], backends="jax"), seeds=1)
    found = {axis.value_of(spec.overrides): spec.network for axis in study.axes for spec in specs}
    sizes = {name: (network["width"], network["depth"]) for name, network in found.items()}
    assert sizes == {"none": (10, 2), "narrow": (5, 2), "flat": (5, 1)}
    assert all(study.holds(spec) for spec in specs)


AXIS = {"path": "network.width", "values": [5, 6]}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"methods": "pinn"}, ["axes.0.path", "levels.0.balancing.exponents", "heat-0.3 pinn cannot have it"]),
        ({"methods": "mpinn"}, ["methods", "mpinn", "allowed: all, "]),
        ({"experiments": "heat-0.33"}, ["experiments", "heat-0.33"]),
        ({"axis": []}, ["axis", "did you mean axes? allowed: axes"]),
        ({"title": "dropped"}, ["title", "is missing"]),
        ({"axes": [AXIS | {"path": "network.with"}]}, ["axes.0.path", "network.with", "unknown key", "width"]),
        ({"axes": [AXIS | {"path": "network..width"}]}, ["axes.0.path", "network..width", "separated by dots"]),
        ({"axes": [AXIS | {"values": []}]}, ["axes.0.values", "at least 1"]),
        ({"axes": [AXIS | {"values": [5, 5.0]}]}, ["axes.0.values.1", "stands there twice"]),
        ({"axes": [AXIS | {"values": ["x"]}]}, ["axes.0.path", "network.width", "integer"]),
        ({"axes": [AXIS | {"labels": ["narrow"]}]}, ["axes.0.labels", "2 different texts"]),
        ({"axes": [AXIS, AXIS]}, ["axes.1.name", "network.width", "another axis"]),
        ({"axes": [AXIS | {"name": "seed"}]}, ["axes.0.name", "seed", "column"]),
        ({"axes": [AXIS | {"name": name, "values": list(range(101))} for name in "xy"]}, ["axes", "10201 points"]),
        ({"axes": [{"name": "change"}]}, ["axes.0.path", "is missing", "variants"]),
        ({"axes": [{"path": "network.width"}]}, ["axes.0.values", "is missing"]),
        ({"axes": [{"variants": VARIANTS}]}, ["axes.0.name", "is missing"]),
        ({"axes": [{"name": "change", "variants": VARIANTS, "path": "x"}]}, ["axes.0.path", "or a name and"]),
        ({"axes": [{"name": "change", "variants": VARIANTS | {"same": {}}}]}, ["variants.same", "same as none"]),
        (
            {"axes": [{"name": "change", "variants": VARIANTS | {"bad": {"network.with": 3}}}]},
            ["axes.0.variants.bad.network.with", "unknown key", "width"],
        ),
        (
            {"axes": [{"name": "t", "variants": {"bad": {"balancing": {"name": "power", "exponents": 3}}}}]},
            ["axes.0.variants.bad.balancing", "levels.0.balancing.exponents: must be a mapping"],
        ),
        ({"set": {"optimizers.adam.iterations": "x"}}, ["set.optimizers.adam.iterations", "integer"]),
        (
            {"axes": [{"name": "t", "variants": {"good": {"trial": "identity"}, "bad": {"trial": "hard"}}}]},
            ["axes.0.variants.bad.trial", "hard-constraint"],
        ),
        ({"set": {"levels.7.stages.0.iterations": 3}}, ["no such index"]),
        ({"set": {"trial": "hard"}}, ["set.trial", "hard-constraint"]),
        ({"figures": ["map"]}, ["figures.0", "map", "maps"]),
        ({"seeds": 0}, ["seeds", "at least 1"]),
        ({"scale": "tiny"}, ["scale", "tiny", "quick"]),
    ],
)  # fmt: skip
def test_mistakes_in_a_study_are_named(tmp_path, changes, parts):
    catalogue = study_with(tmp_path, **changes)
    config = {"study": "mine"} | ({} if "scale" in changes else {"scale": "smoke"})
    with pytest.raises(ConfigurationError) as caught:
        Sweep.from_config(config, catalogue)
    for part in ["studies/mine.yaml", *parts]:
        assert part in str(caught.value)


def test_the_configuration_overrides_the_study():
    study = study_of(
        {"study": "exponents", "seeds": [4], "backends": "jax", "numerics": "strict", "scale": "smoke"}
    )
    assert (study.seeds, study.backends, study.numerics, study.scale) == ((4,), ("jax",), ("strict",), "smoke")
    assert study.experiments == ("heat-0.3",) and study.methods == ("mmpinn",)
    shipped = study_of(read_config(CATALOGUE, ["study=exponents"]), CATALOGUE)
    assert shipped == study_of({"study": "exponents"}), "config.yaml leaves everything to the study"


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({}, "paper/quick"),
        ({"scale": "smoke"}, "paper/smoke"),
        ({"experiments": "heat-0.15"}, "paper/quick+experiments=heat-0.15"),
        ({"experiments": "all", "backends": "jax,torch", "seeds": 1, "methods": "all,bfgs"}, "paper/quick"),
        ({"seeds": 5, "backends": "jax"}, "paper/quick+seeds=5+backends=jax"),
        ({"seeds": [0, 7]}, "paper/quick+seeds=0~7"),
        ({"study": "exponents", "scale": "smoke"}, "exponents/smoke"),
        ({"scale": "paper", "runs": "archive"}, "paper/paper-archive"),
        ({"scale": "paper", "runs": "archive", "methods": "pinn"}, "paper/paper-archive+methods=pinn"),
    ],
)
def test_no_selection_overwrites_the_report_of_another(config, name, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert Sweep.from_config(config, CATALOGUE).name == name


def test_a_long_selection_has_a_short_name():
    many = Sweep.from_config({"scale": "smoke", "seeds": [10**9 + i for i in range(60)]}, CATALOGUE)
    more = Sweep.from_config({"scale": "smoke", "seeds": [10**9 + i for i in range(61)]}, CATALOGUE)
    assert many.name != more.name and len(many.name) < 100


def test_the_status_command_knows_studies(tmp_path, capsys):
    given = ["study=exponents", "seeds=1"]
    assert main(["status", "--scale", "smoke", "--config", *given, "--results", str(tmp_path)]) == 0
    assert "exponents, smoke: 0 of 4 runs done, 4 left" in capsys.readouterr().out


def test_labels_and_sections_stand_in_tables_as_texts(tmp_path):
    values = [{"strategy": "sobol", "count": 64}, {"strategy": "latin-hypercube", "count": 64}]
    axis = {"name": "sampler", "path": "points.residual", "values": values}
    study, specs = runs_of(study_with(tmp_path / "a", axes=[axis]), seeds=1)
    assert study.axes[0].value_of(specs[0].overrides) == '{"count":64,"strategy":"sobol"}'
    study, specs = runs_of(study_with(tmp_path / "b", axes=[axis | {"labels": ["Sobol", "LHS"]}]), seeds=1)
    assert [study.axes[0].value_of(spec.overrides) for spec in specs] == ["Sobol", "LHS"]
