# All figures of one experiment in one job: importing the plotting library costs more than drawing.


rule figures:
    input:
        runs=lambda wildcards: run_files("run.json", wildcards.experiment),
        histories=lambda wildcards: run_files("history.parquet", wildcards.experiment),
        fields=lambda wildcards: run_files("fields.npz", wildcards.experiment),
    output:
        **{
            f"{name}_{suffix}": figure_output(name, suffix)
            for name in FIGURES
            for suffix in ("pdf", "png", "csv")
        },
    log:
        "logs/figures/{sweep}/{experiment}.log",
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "figures of {wildcards.experiment}"
    script:
        "../scripts/figures.py"
