"""Broken configurations by the hundred: each is used or refused in one line that names file and key, never more.

Hypothesis draws the same ones every time. The number that was refused is counted and asserted.
"""

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from solvers import cli
from solvers.configuration import Catalogue, ConfigurationError
from solvers.spec import RunSpec
from solvers.strict_yaml import read_value
from tests.conftest import BACKENDS, METHODS, ROOT
from workflow.sweep import KEYS, Sweep

KINDS = ("experiments", "numerics", "scales")
FILES = sorted(
    path.relative_to(ROOT / "config") for kind in KINDS for path in (ROOT / "config" / kind).glob("*.yaml")
)
JUNK: list[Any] = [
    None, True, False, -1, 0, 1, 10**12, 10**30, -2.5, 1e300, float("inf"), float("nan"), "", "junk", "1e-3",
    "a\nb", "naïve ☃", [], [1], ["junk"], [[]], {}, {"junk": 1}, {"name": "junk"}, [{"junk": [1, {"x": None}]}],
    "x" * 5000,
]  # fmt: skip


def examples(count: int) -> settings:
    """So many drawn cases, the same every time."""
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


Path_ = tuple[str | int, ...]


def places(data: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The path of every value in a document."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


DOCUMENTS = {file: yaml.safe_load((ROOT / "config" / file).read_text()) for file in FILES}
PLACES = {file: list(places(document)) for file, document in DOCUMENTS.items()}


@st.composite
def broken_documents(draw: st.DrawFn) -> tuple[Path, Any, Path_, str]:
    """A file, its data with one value dropped, renamed, added or replaced, the value's place, its new name."""
    file = draw(st.sampled_from(FILES))
    data, path = copy.deepcopy(DOCUMENTS[file]), draw(st.sampled_from(PLACES[file]))
    parent = data
    for part in path[:-1]:
        parent = parent[part]
    way = draw(st.sampled_from(["drop", "rename", "add", "replace", "replace", "replace", "misplace"]))
    name = path[-1]
    if way == "drop":
        del parent[name]
    elif way == "replace" or isinstance(parent, list):
        parent[name] = draw(st.sampled_from(JUNK))
    elif way == "misplace":
        other = draw(st.sampled_from(PLACES[file]))
        value = DOCUMENTS[file]
        for part in other:
            value = value[part]
        parent[name] = copy.deepcopy(value)
    else:
        name = draw(st.sampled_from(["junk", f"{name}x", str(name).upper(), "ключ", "a b", "a/b", "1"]))
        parent[name] = parent[path[-1]]
        if way == "rename" and name != path[-1]:
            del parent[path[-1]]
    return file, data, path, str(name)


def case_for(file: Path, path: Path_) -> dict[str, str]:
    """A run that reads the place changed: its experiment, its method, its numerics or scale."""
    case = {"experiment": "heat-0.3", "backend": BACKENDS[0], "numerics": "paper", "scale": "smoke"}
    kind = file.parent.name
    case[kind.removesuffix("s") if kind != "numerics" else kind] = file.stem
    if path[0] == "scales" and len(path) > 1:
        case["scale"] = str(path[1])
    methods = [method for experiment, method in METHODS if experiment == case["experiment"]]
    named = [part for part in path if part in methods]
    return case | {"method": named[0] if named else methods[-1]}


def refusal(action) -> str | None:
    """The message of the one exception allowed, a line; ``None`` if there was no mistake."""
    try:
        action()
    except ConfigurationError as error:
        text = str(error)
        assert "\n" not in text and len(text) < 3000
        return text
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return Path(shutil.copytree(ROOT / "config", tmp_path_factory.mktemp("broken") / "config"))


def resolved_with(folder: Path, file: Path, text: str | bytes, case: dict[str, str]) -> str | None:
    """What is said about one run when ``file`` of the catalogue has another ``text``."""
    path = folder / file
    kept = path.read_bytes()
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
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
        assert file.name in text, f"{path}: {text}"
        assert any(key in text.replace("\\u", "") or not key.isascii() for key in keys), f"{path}: {text}"
        if path[-1] not in ("name", "optimizer") and len(path) > 1:
            *outer, last = [part for part in path if isinstance(part, str)]
            parent = data
            for part in path[:-1]:
                parent = parent[part]
            expected = [last, name, *(outer[-1:] if not parent else [])]  # or what was emptied
            assert any(key in text for key in expected), f"{path}: {text}"
        refused.append(text)

    each()
    assert len(set(refused)) >= 200


@st.composite
def damaged_texts(draw: st.DrawFn) -> tuple[Path, bytes]:
    """A file with bytes put in, taken out or doubled at some place."""
    file = draw(st.sampled_from(FILES))
    text = (ROOT / "config" / file).read_bytes()
    lines = text.splitlines(keepends=True)
    i = draw(st.integers(0, len(lines) - 1))
    way = draw(st.sampled_from(["insert", "cut", "double", "swap", "indent"]))
    if way == "insert":
        place = draw(st.integers(0, len(text)))
        junk = draw(st.sampled_from([b"\t", b"\x00", b"\xff", b"{", b"]", b"'", b"&a *a", b"!!python/none ", b": ",
                                     b"%", b"- ", b"<<: *b", "\u2028".encode(), b"\n---\n", b"? "]))  # fmt: skip
        return file, text[:place] + junk + text[place:]
    if way == "cut":
        return file, text[: draw(st.integers(0, len(text)))]
    changed = {"double": lines[i] * 2, "swap": lines[i][::-1], "indent": b" " + lines[i]}[way]
    return file, b"".join([*lines[:i], changed, *lines[i + 1 :]])


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
def two_experiments(folder: Path, tmp_path_factory) -> Catalogue:
    small = Path(shutil.copytree(folder, tmp_path_factory.mktemp("small") / "config"))
    for path in (small / "experiments").glob("*.yaml"):
        if path.stem not in ("heat-0.3", "pulse"):
            path.unlink()
    return Catalogue(small)


def test_broken_pipelines_are_used_or_refused_by_key(two_experiments):
    values = st.sampled_from(
        [*JUNK, "all", "jax", "jax,torch", "torch,torch", "smoke", 2, [0, 0], ["0", 7], ["9" * 5000]]
    )
    keys = st.sampled_from([*KEYS, *KEYS, "junk", "Scale", "seed", "a\nb"])
    refused = []

    @examples(150)
    @given(st.dictionaries(keys, values, min_size=1, max_size=2))
    def each(config):
        said = refusal(lambda: Sweep.from_config({"scale": "smoke"} | config, two_experiments))
        if said:
            assert said.startswith("config/config.yaml or --config: ")
            assert any(key.replace("\n", "\\n") in said for key in config)
            refused.append(said)

    each()
    assert len(set(refused)) >= 60


def test_broken_command_lines_are_used_or_refused(monkeypatch, capsys, tmp_path):
    """``run`` itself is left out: what is tested is everything before the first step."""
    monkeypatch.setattr(cli, "run", lambda *given: None)
    monkeypatch.setattr(cli, "_summarise", lambda *given: None)
    spec: RunSpec = Catalogue().resolve("heat-0.3", "mmpinn", BACKENDS[0], scale="smoke")
    keys = [".".join(map(str, path)) for path in places(spec.model_dump(mode="json"))]
    keys += [
        "optimizers.adam.iterations",
        "stages.lbfgs.history",
        "methods.mmpinn.network",
        "chunk_size",
        "precision",
    ]
    junk = [str(value) for value in JUNK] + [
        "[",
        "{",
        "*a",
        "!!python/object:os.system x",
        "{a: {b: 1}}",
        "1e-3",
        "\t",
    ]
    override = st.builds(lambda key, value: f"{key}={value}", st.sampled_from(keys), st.sampled_from(junk))
    text = st.one_of(override, st.text(max_size=12), st.sampled_from(["=", "a=", ".=1", "a..b=1", "a=" * 300]))
    word = st.sampled_from(["heat-0.3", "mmpinn", "pinn", "jax", "", "..", "../x", "heat\n", "1", "-1", "x" * 500])
    said = []

    @examples(150)
    @given(st.lists(text, max_size=2), st.sampled_from(["", "experiment", "method", "backend", "scale"]), word)
    def each(overrides, axis, name):
        axes = {"experiment": "heat-0.3", "method": "mmpinn", "backend": "jax", "scale": "smoke"}
        axes |= {axis: name} if axis else {}
        command = [
            "run",
            axes["experiment"],
            axes["method"],
            f"--backend={axes['backend']}",
            f"--scale={axes['scale']}",
        ]
        try:
            code = cli.main([*command, f"--results={tmp_path}", *(f"--set={text}" for text in overrides)])
        except SystemExit as stop:  # the parser's own: an argument that looks like an option
            code = stop.code
        shown = capsys.readouterr().err
        assert code in (0, 2) and "Traceback" not in shown
        if code == 2:
            said.append(shown)

    each()
    assert len(set(said)) >= 60


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("width: 3\nwidth: 4\n", ["width", "is given twice", "line 2"]),
        ("a: {b: 1, b: 2}", ["a.b", "is given twice"]),
        ("a: &x [1]\nb: *x\nb: 3", ["b", "is given twice"]),
        ("rate: 010", ["rate", "base 8"]),
        ("time: 1:30", ["time", "base 60"]),
        ("time: 1:30.5", ["time", "base 60"]),
        ("use: on", ["use", "on", "true or false"]),
        ("no: 1", ["no", "a key must be text"]),
        ("1: 1", ["1", "a key must be text"]),
        ("? [1, 2]\n: 3", ["a list or mapping", "a key must be text"]),
        ("day: 2024-01-01", ["day", "2024-01-01", "date"]),
        ("x: .inf", ["x", "inf", "finite"]),
        ("x: [1, .nan]", ["x.1", "nan", "finite"]),
        ("x: 1.0e+999", ["x", "finite"]),
        (f"x: {10**30}", ["x", "64 bits"]),
        (f"x: {'9' * 5000}", ["not valid YAML", "digits"]),
        ("x: !!int ''", ["not valid YAML"]),
        ("x: !!set {a}", ["x", "tag", "set"]),
        ("x: !!binary aGk=", ["x", "tag", "binary"]),
        ("x: !!python/object/apply:os.system [ls]", ["x", "tag", "python"]),
        ("x: !mine 3", ["x", "tag !mine"]),
        ("x:\n\t- 1", ["line 2", "not tabs"]),
        ("a: 1\n---\nb: 1", ["line 2", "single document"]),
        ("x: [1,", ["line 1", "expected"]),
        ("x: &a [*a]", ["x.0.0", "nested more than"]),
        ('x: "\\ud800"', ["x", "Unicode"]),
        ("x: " + "[" * 50 + "]" * 50, ["x", "nested more than"]),
        ("x: " + "[" * 5000 + "]" * 5000, ["nested too deeply"]),
    ],
)
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
