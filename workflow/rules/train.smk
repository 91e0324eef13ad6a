# One job is one run: the very command a person types. Its time limit is 57 seconds for each minute that the job
# has: a run that takes longer ends by itself, with what it has reached, before an executor ends the job.


rule train:
    input:
        outdated=outdated,
    output:
        kept(expand(f"results/{PATTERN}/{{file}}", file=FILES, allow_missing=True)),
    log:
        f"logs/train/{PATTERN}.log",
    wildcard_constraints:
        experiment=one_of(SWEEP.variants()),
    threads: 1
    resources:
        **gpus(),
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: minutes(wildcards) * attempt,
    params:
        identity=identity,
        command=command,
        results=results_root,
    message:
        "{wildcards.experiment} {wildcards.method} {wildcards.backend} {wildcards.numerics} seed {wildcards.seed}"
    shell:
        "{params.command} --results {params.results}"
        " --time-limit $(({resources.runtime} * 57)) > {log} 2>&1"


# The floor of an experiment: seconds of a classical solver, by the very command a person types. One that is there and
# is of this problem and code is taken.
rule floor:
    input:
        outdated=outdated_floor,
    output:
        kept(["results/floor/{experiment}/floor.json"]),
    log:
        "logs/floor/{experiment}.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        identity=floor_of,
        results=lambda wildcards, output: Path(output[0]).parents[2],
    message:
        "floor of {wildcards.experiment}"
    shell:
        "python -m solvers floor {wildcards.experiment} --results {params.results} > {log} 2>&1"
