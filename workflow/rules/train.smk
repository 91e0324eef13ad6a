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
