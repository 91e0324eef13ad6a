# Costs to reach an error and trajectories, experiment by experiment, and performance profiles over all of them.


rule curves:
    input:
        runs=lambda wildcards: run_files("run.json", wildcards.experiment),
    output:
        **figure_outputs(CURVES),
    log:
        "logs/curves/{sweep}/{experiment}.log",
    message:
        "costs and trajectories of {wildcards.experiment}"
    script:
        "../scripts/curves.py"


rule profiles:
    input:
        summary=rules.summary.output.csv,
    output:
        **{
            f"{name}_{suffix}": profile_output(name, suffix)
            for name in PROFILES
            for suffix in ("pdf", "png", "csv")
        },
    log:
        "logs/profiles/{sweep}.log",
    message:
        "performance profiles"
    script:
        "../scripts/profiles.py"
