"""Broken configurations by the hundred: each is used or refused in one line that names file and key, never more.

Hypothesis draws the same ones every time. The number that was refused is counted and asserted.
"""

import copy
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from solvers import cli
from solvers.cli import run
from solvers.configuration import strict_yaml
from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.spec import RunSpec
from solvers.configuration.strict_yaml import read_value
from solvers.configuration.study import KEYS, study_of
from tests.conftest import ROOT
from tests.faults.commands import commands
from tests.faults.documents import (
    DOCUMENTS,
    FILES,
    JUNK,
    PITFALLS,
    PLACES,
    broken_documents,
    case_for,
    damaged_texts,
    dumped,
    examples,
)
from workflow.sweep import Sweep


def refusal(action) -> str | None:
    """The message of the one exception allowed, a line; ``None`` if there was no mistake."""
    try:
        action()
    except ConfigurationError as error:
        text = str(error)
        assert "\n" not in text and len(text) < 3000
        return text
    return None


@pytest.fixture(autouse=True, scope="module")
def parsed_once() -> Iterator[None]:
    """Of the files that every case reads all but one are those of the case before: they are parsed once. And
    libyaml writes them; the cases name PyYAML, for hypothesis draws others when their code is another."""
    parse = cache(strict_yaml._from_yaml)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "safe_dump", dumped)
        patch.setattr(strict_yaml, "_from_yaml", lambda *given: copy.deepcopy(parse(*given)))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return Path(shutil.copytree(ROOT / "config", tmp_path_factory.mktemp("broken") / "config"))


def runs_of_study(name: str, catalogue: Catalogue) -> list[RunSpec]:
    return list(study_of({"study": name}, catalogue).specs(catalogue))


@cache
def _as_it_stands(folder: Path) -> Catalogue:
    return Catalogue(folder)


def with_experiments_read(folder: Path) -> Catalogue:
    """A catalogue that reads studies anew, and takes all else as it is when no file is broken."""
    catalogue, read = Catalogue(folder), _as_it_stands(folder)
    for kind in ("experiment", "numerics", "scale"):
        setattr(catalogue, kind, getattr(read, kind))
    return catalogue


def resolved_with(folder: Path, file: Path, text: str | bytes, case: dict[str, str]) -> str | None:
    """What is said about one run, or a study's, when ``file`` of the catalogue has another ``text``."""
    path = folder / file
    kept = path.read_bytes()
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        if file.parent.name == "studies":
            return refusal(lambda: runs_of_study(file.stem, with_experiments_read(folder)))
        return refusal(lambda: Catalogue(folder).resolve(**case))
    finally:
        path.write_bytes(kept)


def test_broken_files_are_used_or_refused_by_file_and_key(folder):
    refused = []

    @examples(450)
    @given(broken_documents())
    def each(broken):
        file, data, path, name = broken
        text = resolved_with(folder, file, yaml.safe_dump(data), case_for(file, path))
        if text is None:
            return
        keys = {str(part) for part in path if isinstance(part, str)} | {name}
        if file.parent.name == "studies" and name in ("experiments", "methods"):
            keys |= {"set", "axes"}  # without them it is for all, of which not all have what these change
        if file.parent.name == "studies" and name == "based_on":
            keys.add("axes")  # which change what another base, or none, has not
        assert file.name in text, f"{path}: {text}"
        assert any(key in text.replace("\\u", "") or not key.isascii() for key in keys), f"{path}: {text}"
        # Another name, optimizer or base is complained of by the settings that do not go with it.
        if path[-1] not in ("name", "optimizer", "based_on") and len(path) > 1 and file.parent.name != "studies":
            *outer, last = [part for part in path if isinstance(part, str)]
            parent = data
            for part in path[:-1]:
                parent = parent[part]
            expected = [last, name, *(outer[-1:] if not parent else [])]  # or what was emptied
            if "supervised" in path:  # which stands for all of these
                expected += ["initial", "boundary"]
            if "network" in outer:  # too wide or deep for an optimizer with a matrix, which says for how many
                expected.append("parameters")
            assert any(key in text for key in expected), f"{path}: {text}"
        refused.append(text)

    each()
    assert len(set(refused)) >= 200


def test_broken_studies_are_used_or_refused_by_file_and_key(folder):
    """Each value of the example replaced by each kind of junk; what ``set`` takes away an axis may miss."""
    file, refused = Path("studies/exponents.yaml"), set()
    for path in PLACES[file]:
        for junk in JUNK:
            data = copy.deepcopy(DOCUMENTS[file])
            parent = data
            for part in path[:-1]:
                parent = parent[part]
            parent[path[-1]] = junk
            text = resolved_with(folder, file, yaml.safe_dump(data), {})
            if text is not None:
                assert file.name in text and (str(path[0]) in text or "axes.0.path" in text), f"{path}: {text}"
                refused.add(text)
    assert len(refused) >= 200


def test_damaged_files_are_used_or_refused_by_file(folder):
    refused = []

    @examples(120)
    @given(damaged_texts())
    def each(damaged):
        file, text = damaged
        said = resolved_with(folder, file, text, case_for(file, ("title",)))
        assert said is None or file.name in said
        refused.extend([said] if said else [])

    each()
    assert len(set(refused)) >= 50


@pytest.fixture(scope="module")
def few_experiments(folder: Path, tmp_path_factory) -> Catalogue:
    small = Path(shutil.copytree(folder, tmp_path_factory.mktemp("small") / "config"))
    kept = ("heat-0.3", "pulse", "burgers")  # every shared method has one of them
    for path in (small / "experiments").glob("*.yaml"):
        if path.stem not in kept:
            path.unlink()
    for path in (small / "methods").glob("*.yaml"):
        data = yaml.safe_load(path.read_text())
        if "experiments" in data:  # else those of the method that it is based on
            path.write_text(yaml.safe_dump(data | {"experiments": [e for e in data["experiments"] if e in kept]}))
    return Catalogue(small)


def test_broken_pipelines_are_used_or_refused_by_key(few_experiments):
    values = st.sampled_from(
        [*JUNK, "all", "jax", "jax,torch", "torch,torch", "smoke", 2, [0, 0], ["0", 7], ["9" * 5000]]
    )
    keys = st.sampled_from([*KEYS, *KEYS, "junk", "Scale", "seed", "a\nb"])
    refused = []

    @examples(150)
    @given(st.dictionaries(keys, values, min_size=1, max_size=2))
    def each(config):
        said = refusal(lambda: Sweep.from_config({"scale": "smoke"} | config, few_experiments))
        if said:
            assert said.startswith("config/config.yaml or --config: ")
            assert any(key.replace("\n", "\\n") in said for key in config)
            refused.append(said)

    each()
    assert len(set(refused)) >= 60


def test_broken_command_lines_are_used_or_refused(monkeypatch, capsys, tmp_path):
    """``run`` itself is left out: what is tested is everything before the first step."""
    monkeypatch.setattr(run, "run", lambda *given: None)
    monkeypatch.setattr(run, "summarise", lambda *given: None)
    said = []

    @examples(150)
    @given(commands())
    def each(command):
        try:
            code = cli.main([*command, f"--results={tmp_path}"])
        except SystemExit as stop:  # the parser's own: an argument that looks like an option
            code = stop.code
        shown = capsys.readouterr().err
        assert code in (0, 2) and "Traceback" not in shown
        if code == 2:
            said.append(shown)

    each()
    assert len(set(said)) >= 60


@pytest.mark.parametrize(("text", "parts"), PITFALLS)
def test_the_pitfalls_of_yaml_are_named(tmp_path, folder, text, parts):
    said = resolved_with(folder, Path("scales/smoke.yaml"), text, case_for(Path("scales/smoke.yaml"), ("seeds",)))
    for part in ["smoke.yaml", *parts]:
        assert part in said


def test_anchors_may_not_expand_without_end(folder):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    said = resolved_with(folder, Path("numerics/paper.yaml"), "\n".join(lines), case_for(FILES[0], ("title",)))
    assert "numerics/paper.yaml" in said and "expands to more than 100000 values" in said


def test_anchors_and_merge_keys_may_be_used(folder):
    text = (
        "description: x\nseeds: 1\nevaluation: &e {grid: 5}\nmethods: {mmpinn: {evaluation: {<<: *e, every: 3}}}"
    )
    assert resolved_with(folder, Path("scales/smoke.yaml"), text, case_for(FILES[0], ("title",))) is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"a": 1, "a": 2}', ["network.a", "twice"]),
        ("NaN", ["network", "finite"]),
        ("[1e999]", ["network.0", "finite"]),
        ("[" * 100_000, ["network", "nested too deeply"]),
        ("{a: yes}", ["network.a", "true or false"]),
    ],
)
def test_values_of_a_command_line_are_read_as_strictly(text, parts):
    said = refusal(lambda: read_value(text, "--set", "network"))
    for part in ["--set", *parts]:
        assert part in said
