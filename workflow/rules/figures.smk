# All figures of one experiment in one job: importing the plotting library costs more than drawing.


rule figures:
    input:
        runs=lambda wildcards: run_files("run.json", wildcards.experiment),
        others=lambda wildcards: other_files(wildcards.experiment),
    output:
        **figure_outputs(
            FIGURES, "reports/{sweep}/figures/{experiment}", "{experiment}"
        ),
    log:
        "logs/figures/{sweep}/{experiment}.log",
    wildcard_constraints:
        experiment=only_grouped(False),
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        figures=FIGURES,
    message:
        "figures of {wildcards.experiment}"
    script:
        "../scripts/figures.py"


use rule figures as figures_with_groups with:
    output:
        **figure_outputs(
            FIGURES + GROUP_FIGURES,
            "reports/{sweep}/figures/{experiment}",
            "{experiment}",
        ),
    wildcard_constraints:
        experiment=only_grouped(True),
    params:
        figures=FIGURES + GROUP_FIGURES,


rule summary_figures:
    input:
        summary=rules.summary.output.csv,
    output:
        **figure_outputs(SUMMARY_FIGURES, "reports/{sweep}/figures", "all"),
    log:
        "logs/figures/{sweep}.log",
    message:
        "figures of all runs"
    script:
        "../scripts/summary_figures.py"
