"""Whether a run that is there is the one that is wanted: of this place, this specification and this code.

And which of two such runs is worth more, so that a finished one is never replaced by something less.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from solvers.configuration.spec import RunSpec
from solvers.runs.place import Place, variant_of
from solvers.runs.provenance import identity_of
from solvers.runs.record import RecordError, RunRecord, check_files, read_data, read_run

__all__ = ["difference", "made_otherwise", "outdated", "taken", "unlike", "unlike_keys", "worth"]

FINAL = ("finished", "diverged")
"""Results that the same specification and code would give again."""
MOST_NAMED = 3
ABSENT = "absent"
"""In place of a value: no text that stands for a value is without quotes or digits."""


def difference(spec: RunSpec, data: Mapping[str, Any]) -> str | None:
    """In what the run that ``data``, a ``run.json`` of any schema, records is not that of ``spec`` by this code;
    ``None`` if in nothing. Raises ``KeyError``, ``TypeError`` or ``AttributeError`` if it is no record."""
    belongs, wanted = _place_of(data["spec"]), Place.of(spec)
    if belongs != wanted:
        return f"is the record of {belongs.path}, not of {wanted.path}"
    return " and ".join(made_otherwise(spec, data).values()) or None


def made_otherwise(spec: RunSpec, data: Mapping[str, Any]) -> dict[str, str]:
    """What of ``specification`` and ``code`` is not that of ``spec`` and this code, and how, in words."""
    origin, now = data["provenance"], identity_of(spec)
    found = {}
    if origin["spec_hash"] != now["spec_hash"]:
        found["specification"] = f"was made from another specification ({unlike(data['spec'], spec)})"
    if origin["fingerprint"] != now["fingerprint"]:
        found["code"] = f"was made by other code (fingerprint {origin['fingerprint']}, now {now['fingerprint']})"
    return found


def _place_of(made: Mapping[str, Any]) -> Place:
    names = {axis: made[axis] for axis in asdict(Place("", "", "", "", "", "", 0)) if axis != "variant"}
    return Place(**names, variant=variant_of(made["overrides"]))


def unlike(made: Mapping[str, Any], spec: RunSpec) -> str:
    """The first keys in which a specification as JSON differs from ``spec``, with both values."""
    found = [
        f"{key} is only {'here' if mine is ABSENT else 'there'}"
        if ABSENT in (mine, ours)
        else f"{key} is {mine}, here {ours}"
        for key, mine, ours in unlike_keys(made, spec.model_dump(mode="json"))
    ]
    more = f", and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more or "its hash is of another version"


def unlike_keys(one: Any, other: Any, at: str = "") -> Iterator[tuple[str, str, str]]:
    """The keys in which two specifications as JSON differ, with both values as text, :data:`ABSENT` for none."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        if one != other:
            yield at, repr(one), repr(other)
        return
    for key in [*other, *(key for key in one if key not in other)]:
        inner = f"{at}.{key}" if at else str(key)
        if key in one and key in other:
            yield from unlike_keys(one[key], other[key], inner)
        else:
            yield inner, repr(one[key]) if key in one else ABSENT, repr(other[key]) if key in other else ABSENT


def outdated(spec: RunSpec, folder: Path) -> bool:
    """Whether ``folder`` holds a record that is not of ``spec`` by this code. ``run.json`` is only looked at: what
    is missing or damaged is not outdated."""
    try:
        return difference(spec, read_data(folder)) is not None
    except (RecordError, KeyError, TypeError, AttributeError):
        return False


def taken(spec: RunSpec, folder: Path) -> RunRecord | None:
    """The record in ``folder`` if it is of ``spec`` by this code, and all files are as they were written."""
    try:
        record = read_run(folder)
        check_files(folder, record)
        return record if difference(spec, read_data(folder)) is None else None
    except RecordError:
        return None


def worth(record: RunRecord) -> int:
    """2 for a result that would be the same again, 1 for one cut short that has an error, else 0."""
    return 2 if record.status in FINAL else int(record.last is not None)
