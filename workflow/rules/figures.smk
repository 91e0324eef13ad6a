# All figures of one experiment in one job: importing the plotting library costs more than drawing.
if UNGROUPED and SWEEP.figures_of(UNGROUPED[0]):

    rule figures:
        input:
            runs=lambda wildcards: run_files("run.json", wildcards.experiment),
            others=lambda wildcards: other_files(wildcards.experiment),
            floors=lambda wildcards: floor_files(wildcards.experiment),
        output:
            figure_outputs(
                SWEEP.figures_of(UNGROUPED[0]),
                "reports/{report}/figures/{experiment}",
                "{experiment}",
            ),
        log:
            "logs/figures/{report}/{experiment}.log",
        wildcard_constraints:
            experiment=one_of(UNGROUPED),
        resources:
            mem_mb=2000,
            runtime=30,
        message:
            "figures of {wildcards.experiment}"
        script:
            "../scripts/figures.py"


if GROUPED and SWEEP.figures_of(GROUPED[0]):

    rule figures_with_groups:
        input:
            runs=lambda wildcards: run_files("run.json", wildcards.experiment),
            others=lambda wildcards: other_files(wildcards.experiment),
            floors=lambda wildcards: floor_files(wildcards.experiment),
        output:
            figure_outputs(
                SWEEP.figures_of(GROUPED[0]),
                "reports/{report}/figures/{experiment}",
                "{experiment}",
            ),
        log:
            "logs/figures/{report}/{experiment}.log",
        wildcard_constraints:
            experiment=one_of(GROUPED),
        resources:
            mem_mb=2000,
            runtime=30,
        message:
            "figures of {wildcards.experiment}"
        script:
            "../scripts/figures.py"


if summary_figures():

    rule summary_figures:
        input:
            summary=f"reports/{SWEEP.name}/summary.csv",
            runs=other_files() if reads_runs() else [],
        output:
            figure_outputs(summary_figures(), f"reports/{SWEEP.name}/figures", "all"),
        log:
            f"logs/figures/{SWEEP.name}.log",
        message:
            "figures of all runs"
        script:
            "../scripts/summary_figures.py"
