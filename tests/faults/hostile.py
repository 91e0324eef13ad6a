"""Hostile inputs by the hundred, made by hand and drawn: command lines, YAML files, folders of runs, checkpoints.

``python -m tests.faults.hostile`` prints how many there were of each kind, how many were refused, and every
breach: a traceback, a table that is another in silence, a finished run that is lost.
"""

import argparse
import copy
import io
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pandas as pd
import yaml
from hypothesis import given
from hypothesis import strategies as st

from solvers import cli
from solvers.cli import run as run_command
from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.study import study_of
from solvers.runs.checkpoint import Checkpoints
from solvers.runs.contents import check_run
from solvers.runs.files import folder_beside
from solvers.runs.place import run_folder
from solvers.runs.record import RecordError, read_run
from solvers.runs.run import Conditions, run
from solvers.runs.status import read_state
from tests.conftest import ROOT, smoke_spec
from tests.faults.checkpoints import CHANGES, TEXTS_OF_PROGRESS, changed_states, damaged_bytes, signed, snapshot_of
from tests.faults.commands import COMMANDS, commands
from tests.faults.documents import FILES, JUNK, PITFALLS, broken_documents, case_for, damaged_texts, examples
from tests.faults.folders import DAMAGES, Damage, damages, edit
from workflow.analysis.figures import read_runs
from workflow.analysis.summary import summarise

__all__ = ["Campaign", "main"]

SETTINGS = ["optimizers.adam.iterations=2", "optimizers.lbfgs.iterations=2", "evaluation.every=1"]
SPEC = smoke_spec(("heat-0.3", "pinn"), "torch", "paper", overrides=SETTINGS)
PLACE = run_folder(SPEC, Path())
OTHER = PLACE.with_name("1")
NAMES = ("heat-0.3", "pinn", "torch", "paper", "smoke", 0, SETTINGS)
MADE, DRAWN = "by hand", "drawn"


def contents(root: Path) -> dict[str, bytes]:
    """All files below ``root``."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@dataclass
class Campaign:
    """What is attacked, below ``root``: a finished run in results of one's own, a second one of another seed, and
    a copy of the catalogue; and what came of it. ``share`` is the part of the cases that is tried."""

    root: Path
    share: float = 1.0
    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ours, self.others, self.config = (self.root / name for name in ("ours", "others", "config"))
        run(SPEC, self.ours / PLACE)
        run(SPEC.model_copy(update={"seed": 1}), self.others / OTHER)
        for folder in (self.ours / PLACE, self.others / OTHER):  # as from a clean commit, to be archived
            edit(folder, lambda data: data["provenance"].update(commit="0" * 40, uncommitted_changes=False))
        self.before, self.table = contents(self.ours), self.numbers(self.ours / PLACE)
        shutil.copytree(ROOT / "config", self.config)
        unfinished = self.root / "unfinished"
        run(SPEC, unfinished, Conditions(time_limit=1e-3))
        self.checkpoint = Checkpoints(unfinished, {}).path.read_bytes()
        self.state, self.arrays = snapshot_of(unfinished)

    def __str__(self) -> str:
        kinds = sorted({kind for kind, _ in self.tried})
        lines = [
            f"{kind}: {', '.join(f'{self.tried[kind, way]} {way}' for way in (MADE, DRAWN))}, "
            f"{self.refused[kind]} refused"
            for kind in kinds
        ]
        total = [sum(count for (_, how), count in self.tried.items() if how == way) for way in (MADE, DRAWN)]
        return "\n".join([*lines, f"all: {total[0]} {MADE}, {total[1]} {DRAWN}; breaches {len(self.breaches)}"])

    def run(self) -> None:
        """Try everything."""
        record = json.loads((self.ours / PLACE / "run.json").read_text())
        with mock.patch.object(run_command, "run"), mock.patch.object(run_command, "summarise"):
            self.each("command lines", COMMANDS, commands(), 160, self.command_line)
        made = [(FILES[0], text.encode("utf-8", "surrogatepass")) for text, _ in PITFALLS]
        made += [(Path("scales/smoke.yaml"), yaml.safe_dump({"seeds": junk}).encode()) for junk in JUNK]
        drawn = st.one_of(damaged_texts(), broken_documents().map(lambda b: (b[0], yaml.safe_dump(b[1]).encode())))
        self.each("YAML files", made, drawn, 160, self.document)
        self.each("folders of runs", DAMAGES.items(), damages(record), 130, self.folder)
        states = [*CHANGES.items(), *((text[:30], text) for text in TEXTS_OF_PROGRESS)]
        bits = damaged_bytes()
        self.each(
            "checkpoints", states, st.one_of(changed_states(self.state), bits, bits), 120, self.state_on_disk
        )

    def each(
        self, kind: str, made: Iterable, drawn: st.SearchStrategy, count: int, attempt: Callable[..., bool]
    ) -> None:
        """All cases of a kind. ``attempt`` says whether one was refused; what it raises is a breach, and what it
        leaves of one's own results must be what was there."""

        def one(how: str, case: object) -> None:
            self.tried[kind, how] += 1
            try:
                self.refused[kind] += attempt(case)
                if contents(self.ours) != self.before:
                    raise AssertionError("a finished run is lost or another")
            except (Exception, SystemExit, RecursionError) as error:
                self.breaches.append(f"{kind}: {str(case)[:200]!r}: {type(error).__name__}: {str(error)[:500]}")
                shutil.rmtree(self.ours)
                for name, content in self.before.items():
                    (self.ours / name).parent.mkdir(parents=True, exist_ok=True)
                    (self.ours / name).write_bytes(content)

        for case in list(made)[:: round(1 / self.share)]:
            one(MADE, case)

        @examples(round(count * self.share))
        @given(drawn)
        def others(case: object) -> None:
            one(DRAWN, case)

        others()

    def numbers(self, folder: Path, catalogue: Catalogue | None = None) -> pd.DataFrame:
        """The row of the table of the run in ``folder``, with what is wanted of it today, without its place."""
        wanted = (catalogue or Catalogue()).resolve(*NAMES)
        return summarise([folder], wanted=lambda _: wanted).drop(columns=["folder", "source"])

    def unchanged(self, folder: Path, catalogue: Catalogue | None = None) -> bool:
        """Whether the run in ``folder`` is tabulated, with the numbers that it was made with; not if it is refused
        by name."""
        try:
            found = self.numbers(folder, catalogue)
        except (RecordError, ConfigurationError) as error:
            assert str(folder) in str(error) or isinstance(error, ConfigurationError), f"no name: {error}"
            return False
        pd.testing.assert_frame_equal(found, self.table)
        return True

    def call(self, *arguments: str) -> int:
        """The command line in this process; its exit code. Mistakes must be told in lines that a terminal can
        show, one for each."""
        out, err = io.StringIO(), io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err), chdir(self.root):
                code = cli.main(arguments)
        except SystemExit as stop:  # argparse: an argument that looks like an option
            assert stop.code in (0, 2), stop.code
            return 2
        said = err.getvalue().splitlines()
        assert code in (0, 2), code
        assert "Traceback" not in err.getvalue() and all(line.isprintable() for line in said), said
        assert (len(said) == 1 or "merge" in arguments) if code else True, said
        return code

    def command_line(self, command: Sequence[str]) -> bool:
        """A line that is used, up to the training, or refused."""
        places = {"{ours}": str(self.ours), "{run}": str(self.ours / PLACE)}
        given = [places.get(word, word) for word in command]
        return self.call(*given) != 0

    def document(self, case: tuple[Path, bytes]) -> bool:
        """A file of the catalogue: the specifications it gives are refused, or the run that is there is of them or
        is said not to be."""
        file, text = case
        kept = (self.config / file).read_bytes()
        (self.config / file).write_bytes(text)
        try:
            catalogue, refused = Catalogue(self.config), False
            try:
                if file.parent.name == "studies":
                    list(study_of({"study": file.stem}, catalogue).specs(catalogue))
                else:
                    catalogue.resolve(**case_for(file, ("title",)))
            except ConfigurationError as error:
                assert str(error).isprintable() and file.name in str(error), error
                refused = True
            return not self.unchanged(self.ours / PLACE, catalogue) or refused
        finally:
            (self.config / file).write_bytes(kept)

    def folder(self, case: tuple[str, Damage]) -> bool:
        """A run in results of others: refused by name or sound, and the other one beside it is merged."""
        name, damage = case
        with tempfile.TemporaryDirectory(dir=self.root) as made:
            theirs, target, archive = (Path(made) / part for part in ("theirs", "target", "archive"))
            shutil.copytree(self.ours, theirs)
            shutil.copytree(self.others / OTHER, theirs / OTHER)
            sound = contents(theirs / OTHER)
            with chdir(made):
                damage(theirs / PLACE)
            self.call("merge", str(theirs), "--into", str(self.ours))
            assert contents(self.ours / OTHER) == sound, "the sound run beside it was not merged"
            shutil.rmtree(self.ours / OTHER)
            self.call("merge", str(theirs), "--into", str(target))
            merged = (target / PLACE).exists()
            if merged and damage.words:
                raise AssertionError(f"was merged, though {damage.words!r} is to be said of it")
            if merged:
                summarise([target / PLACE])  # what has been merged can be tabulated
            if name == "another command":  # signed, harmless, and not what a table shows
                assert self.unchanged(theirs / PLACE)
            tabulated = damage.signed or self.unchanged(theirs / PLACE)
            if not self.call("archive", str(theirs / PLACE), "--to", str(archive)):
                kept = summarise(list(archive.glob("*/*/*/*/*/*")))
                columns = ["rel_l2", "mean_absolute", "maximum", "best_rel_l2"]
                pd.testing.assert_frame_equal(kept[columns], self.table[columns], rtol=0.05)
            self.call("status", "--results", str(theirs), "--scale", "smoke", "--config", "experiments=heat-0.3")
            try:
                read_runs([theirs / PLACE])
            except RecordError as error:
                assert str(theirs / PLACE) in str(error), error
            self.replaced(theirs)
            return not (merged and tabulated)

    def replaced(self, damaged: Path) -> None:
        """Damaged results of one's own give way to sound ones on request."""
        place = damaged / PLACE
        shutil.rmtree(damaged / OTHER)
        sound = place.is_dir() and _is_sound(place)
        self.call("merge", str(self.ours), "--into", str(damaged), "--keep", "theirs")
        if not sound:
            assert contents(place).items() >= contents(self.ours / PLACE).items(), (
                "the damaged run was not replaced"
            )

    def state_on_disk(self, case: tuple[str, object]) -> bool:
        """A checkpoint beside a finished run and beside none: not used, or gone on from, and nothing is lost."""
        _, change = case
        with tempfile.TemporaryDirectory(dir=self.root) as made:
            folder = Path(made) / "run"
            path = Checkpoints(folder, {}).path
            path.parent.mkdir()
            if isinstance(change, str):
                (path.parent / "progress.json").write_text(change)
                return read_state(SPEC, folder).state == "left"
            try:
                content, used = change(self.checkpoint), False
            except TypeError:  # of a state, not of bytes
                state, arrays = copy.deepcopy(self.state), dict(self.arrays)
                change(state, arrays)
                content, used = signed(state, arrays), True
            path.write_bytes(content)
            beside = folder_beside(self.ours / PLACE)
            shutil.copytree(path.parent, beside)
            try:
                run(SPEC, self.ours / PLACE)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
            found = Checkpoints(folder, {}).load()
            if used:
                assert run(SPEC, folder).status in ("finished", "diverged")
                check_run(folder)
            elif found:
                assert content == self.checkpoint or found.data == self.state["data"], "is another state"
            return found is None


def _is_sound(folder: Path) -> bool:
    try:
        return check_run(folder) == read_run(folder)
    except RecordError:
        return False


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign; 1 if there was a breach."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.hostile", description=__doc__)
    parser.add_argument(
        "--share", type=float, default=1.0, help="part of the drawn cases that is tried (default: 1)"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="hostile-") as root:
        campaign = Campaign(Path(root), options.share)
        campaign.run()
    print(campaign, *campaign.breaches, sep="\n")
    print(f"{sum(os.times()[:2]):.0f} CPU seconds")
    return int(bool(campaign.breaches))


if __name__ == "__main__":
    sys.exit(main())
