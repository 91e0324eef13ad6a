"""Broken files of configuration: junk in the place of a value, damaged text, and the pitfalls of YAML."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.conftest import BACKENDS, CATALOGUE, METHODS, ROOT

__all__ = [
    "DOCUMENTS",
    "FILES",
    "JUNK",
    "PITFALLS",
    "PLACES",
    "broken_documents",
    "case_for",
    "damaged_texts",
    "dumped",
    "examples",
    "places",
]

KINDS = ("experiments", "numerics", "scales", "studies")
FILES = sorted(
    path.relative_to(ROOT / "config") for kind in KINDS for path in (ROOT / "config" / kind).glob("*.yaml")
)
JUNK: list[Any] = [
    None, True, False, -1, 0, 1, 10**12, 10**30, -2.5, 1e300, float("inf"), float("nan"), "", "junk", "1e-3",
    "a\nb", "naïve ☃", [], [1], ["junk"], [[]], {}, {"junk": 1}, {"name": "junk"}, [{"junk": [1, {"x": None}]}],
    "x" * 5000,
]  # fmt: skip

PITFALLS = [
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
]
"""Texts of a file that YAML reads as something else than was meant, or not at all, and words of what is said."""


Path_ = tuple[str | int, ...]


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


def places(data: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The path of every value in a document."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def dumped(data: Any) -> str:
    """YAML of plain data, by libyaml where PyYAML has it: a file of an experiment takes the other 20 ms."""
    return yaml.dump(data, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))


def loaded(text: str) -> Any:
    """The plain data of a text of our own, likewise."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


DOCUMENTS = {file: loaded((ROOT / "config" / file).read_text()) for file in FILES}
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
    if kind != "studies":
        case[kind.removesuffix("s") if kind != "numerics" else kind] = file.stem
    if path[0] == "scales" and len(path) > 1:
        case["scale"] = str(path[1])
    # Some experiments have a problem whose methods are tested with another one.
    own = [method for experiment, method in METHODS if experiment == case["experiment"]]
    methods = own or [*CATALOGUE.experiment(case["experiment"]).methods]
    named = [part for part in path if part in methods]
    return case | {"method": named[0] if named else methods[-1]}


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
