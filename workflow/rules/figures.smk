# All figures of one experiment in one job: importing the plotting library costs more than drawing. A run's other
# files are written before its run.json, and one that failed may lack them; so run.json stands for them all.


rule figures:
    input:
        runs=lambda wildcards: run_files("run.json", wildcards.experiment),
    output:
        **figure_outputs(FIGURES),
    log:
        "logs/figures/{sweep}/{experiment}.log",
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        figures=FIGURES,
    message:
        "figures of {wildcards.experiment}"
    script:
        "../scripts/figures.py"


rule group_figures:
    input:
        runs=lambda wildcards: run_files("run.json", wildcards.experiment),
    output:
        **figure_outputs(GROUP_FIGURES),
    log:
        "logs/figures/{sweep}/{experiment}-groups.log",
    params:
        figures=GROUP_FIGURES,
    message:
        "figures by subdomain of {wildcards.experiment}"
    script:
        "../scripts/figures.py"


rule overview:
    input:
        summary=rules.summary.output.csv,
    output:
        pdf="reports/{sweep}/figures/overview.pdf",
        png=report(
            "reports/{sweep}/figures/overview.png",
            caption="../report/overview.rst",
            category="Figures",
            labels={"experiment": "all", "figure": "overview"},
        ),
        csv="reports/{sweep}/figures/overview.csv",
    log:
        "logs/figures/{sweep}/overview.log",
    message:
        "all runs beside the authors' numbers"
    script:
        "../scripts/overview.py"
