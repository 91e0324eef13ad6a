# The runs of the study and the names of its files; everything else asks these helpers.
import re
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.plugins import PluginError
from solvers.runs.archive import ARCHIVE
from solvers.runs.floor import FILE as FLOOR, floor_identity, floor_spec
from solvers.runs.place import DEPTH, PATTERN, Place
from solvers.runs.record import FILES, RecordError
from workflow.analysis import register
from workflow.sweep import Sweep


report: "../report/workflow.rst"


try:
    SWEEP = Sweep.from_config(config, files=workflow.configfiles)
except (ConfigurationError, PluginError, RecordError) as error:
    raise WorkflowError(str(error)) from None

GROUPED = [name for name in SWEEP.experiments if SWEEP.grouped(name)]
UNGROUPED = [name for name in SWEEP.experiments if not SWEEP.grouped(name)]
FORMATS = {"tables": ("csv", "md", "tex", "html"), "figures": ("pdf", "png", "csv")}


def one_of(names):
    """A wildcard constraint: one of these names."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    scale=re.escape(SWEEP.scale),
    report=re.escape(SWEEP.name),
    experiment=one_of(SWEEP.experiments),
    seed=r"\d+",


def in_archive(path):
    """Whether a file is an archived run's."""
    return Path(path).is_relative_to(ARCHIVE)


def run_files(name, experiment=None):
    """The file called `name` of every run, or of every run of one experiment; no rule makes an archived one."""
    files = [folder / name for folder in SWEEP.folders(experiment)]
    return [ancient(str(f)) if in_archive(f) else str(f) for f in files]


def floor_files(experiment=None):
    """The records of the floors of all experiments, or of one; no rule makes an archived one."""
    files = [folder / FLOOR for folder in SWEEP.floors(experiment).values()]
    return [ancient(str(f)) if in_archive(f) else str(f) for f in files]


def archived_like():
    """The archived runs at this scale: with these the table `check` compares what is made here."""
    folders = Place.glob(ARCHIVE, scale=SWEEP.scale)
    return local([str(folder / "run.json") for folder in folders])


def other_files(experiment=None):
    """The other files of the same runs; a run leaves them all, but an archived one may have been thinned."""
    names = [name for name in FILES if name != "run.json"]
    files = [path for name in names for path in run_files(name, experiment)]
    return [path for path in files if not in_archive(path) or Path(path).exists()]


def reads_runs():
    """Whether a table, and with it a figure of all runs, is made of histories and fields and not of the summary alone."""
    return any(register.table(name).of_runs for name in SWEEP.tables())


def place(wildcards):
    """The directory of a run, relative to the root of the results."""
    return PATTERN.format(**wildcards)


def identity(wildcards):
    """Specification and code of a run, as a param: a change of either makes the run again."""
    return SWEEP.identity(place(wildcards))


def stored():
    """Whether files are in a storage, as on Kubernetes, and not where Snakemake runs."""
    settings = workflow.storage_settings
    return bool(settings and settings.default_storage_provider)


def results_here():
    """The folder of all results where Snakemake runs; that of a storage plug-in with plain files, if it has one."""
    settings = workflow.storage_settings
    stored = settings is not None and settings.default_storage_provider == "fs"
    return Path(settings.default_storage_prefix if stored else "") / "results"


def write_outdated():
    """A file that is newer than every run, and other than before: the input of runs that are outdated."""
    places = [
        place for place in SWEEP.places() if SWEEP.outdated(place, results_here())
    ]
    OUTDATED.parent.mkdir(exist_ok=True)
    OUTDATED.write_text(
        "\n".join([f"outdated at {time.time_ns()}:", *map(str, places), ""])
    )


OUTDATED = Path(".cache/outdated-runs.txt")
if not SWEEP.archived and (workflow.is_main_process or not OUTDATED.exists()):
    write_outdated()


def outdated(wildcards):
    """The file that makes a run again if the one that is there is of another specification or code, be it copied,
    merged or made by hand: Snakemake's own metadata know such runs no better than a table does.
    """
    # A job with an input on this machine alone would be made here, not on the cluster.
    if stored():
        return []
    again = SWEEP.outdated(place(wildcards), results_here())
    return local(str(OUTDATED)) if again else local(ancient(str(OUTDATED)))


def outdated_floor(wildcards):
    """The same for a floor; a sweep of archived runs alone, which has no such file, takes what is there."""
    if stored() or SWEEP.archived:
        return []
    again = SWEEP.floor_outdated(wildcards.experiment, results_here())
    return local(str(OUTDATED)) if again else local(ancient(str(OUTDATED)))


def floor_of(wildcards):
    """Specification and code of a floor, as a param: a change of either makes it again."""
    return floor_identity(floor_spec(wildcards.experiment, Catalogue()))


def kept(files):
    """Outputs that are there until a run replaces them itself: a finished run that is made again is taken."""
    return files if stored() else [update(file) for file in files]


def command(wildcards):
    """The command of a run, as a person types it."""
    return SWEEP.command(place(wildcards))


def results_root(wildcards, output):
    """The folder of all results: `results`, or where a storage plug-in, as on Kubernetes, has its files on a node."""
    return Path(output[0]).parents[DEPTH]


def minutes(wildcards):
    """Time limit of one run where an executor knows limits: many times what the longest run took."""
    return {"smoke": 10, "quick": 60}.get(wildcards.scale, 720)


def gpus():
    """The gpu resource of a run. Not declared if it is 0: Kubernetes would take that for a wish, too."""
    return {"gpu": SWEEP.study.gpus} if SWEEP.study.gpus else {}


def at_a_time():
    """How many runs there are at once: as many as there are cores here, or jobs on a cluster."""
    settings = workflow.resource_settings
    return settings.nodes or settings.cores or 1


def files_of(kind, names):
    """Tables or figures of these names, in all formats."""
    folder = f"reports/{SWEEP.name}/{kind}"
    return [f"{folder}/{name}.{suffix}" for name in names for suffix in FORMATS[kind]]


def tables():
    return files_of("tables", SWEEP.tables())


def figures():
    """All figures, in the order of the page."""
    names = [f"{e}/{name}" for e in SWEEP.experiments for name in SWEEP.figures_of(e)]
    return files_of("figures", summary_figures() + names)


def summary_figures():
    """The figures drawn of the summary: of all runs, and of each experiment point by point."""
    points = [
        f"{experiment}/{name}"
        for experiment in SWEEP.experiments
        for name in SWEEP.figures_of_points()
    ]
    return SWEEP.figures_of_summary() + points


def table_outputs():
    """Four files for each table; the HTML goes into Snakemake's report."""
    return [table_output(path) for path in tables()]


def table_output(path):
    if not path.endswith(".html"):
        return path
    labels = {"table": Path(path).stem}
    return report(path, caption="../report/table.rst", category="Tables", labels=labels)


def figure_outputs(names, folder, experiment):
    """Three files for each figure; the PNG goes into Snakemake's report."""
    return [
        figure_output(f"{folder}/{name}.{suffix}", experiment)
        for name in names
        for suffix in FORMATS["figures"]
    ]


def figure_output(path, experiment):
    if not path.endswith(".png"):
        return path
    name = Path(path).stem
    return report(
        path,
        caption=register.figure(name).caption_file,
        category="Figures",
        subcategory=experiment,
        labels={"experiment": experiment, "figure": name},
    )
