"""Where the numbers of a sweep come from: versions, machines, commits, code fingerprints."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Origin", "origins"]


@dataclass(frozen=True)
class Origin:
    """One fact of provenance: its values, each with the number of runs that have it."""

    name: str
    values: Sequence[tuple[str, int]]


def origins(folders: Iterable[Path]) -> list[Origin]:
    """What the runs in ``folders`` say of themselves, in a fixed order; one that says nothing is counted, too."""
    facts: dict[str, Counter[str]] = {}
    for folder in folders:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        for name, value in _facts(record).items():
            facts.setdefault(name, Counter())[value] += 1
    return [Origin(name, sorted(counter.items())) for name, counter in facts.items()]


def _facts(record: Mapping[str, Any]) -> dict[str, str]:
    source = record.get("provenance")
    if not source:
        return {"provenance": "not recorded"}
    machine, versions, backend = source["machine"], dict(source["versions"]), record["spec"]["backend"]
    changed = {True: ", with uncommitted changes", False: "", None: ""}[source["uncommitted_changes"]]
    gib = machine["memory_bytes"] / 2**30
    facts = {
        "commit": (source["commit"] or "not in a git checkout") + changed,
        f"code fingerprint, {backend}": source["fingerprint"],
        "machine": f"{machine['processor']}, {machine['cores']} cores, {gib:.0f} GiB, {machine['system']}",
        "device": machine["device"],
        "made on": source["started"][:10],
    }
    return facts | {f"version of {name}": version for name, version in versions.items()}
