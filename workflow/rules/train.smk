# One job is one run: the very command a person types. Its time limit is 57 seconds for each minute that the job
# has: a run that takes longer ends by itself, with what it has reached, before an executor ends the job.


rule train:
    output:
        expand(
            "results/{scale}/{experiment}/{method}/{backend}/{numerics}/{seed}/{file}",
            file=FILES,
            allow_missing=True,
        ),
    log:
        "logs/train/{scale}/{experiment}/{method}/{backend}/{numerics}/{seed}.log",
    threads: 1
    resources:
        **cards(),
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: minutes(wildcards) * attempt,
    params:
        identity=identity,
        results=results_root,
    message:
        "{wildcards.experiment} {wildcards.method} {wildcards.backend} {wildcards.numerics} seed {wildcards.seed}"
    shell:
        "python -m solvers run {wildcards.experiment} {wildcards.method}"
        " --backend {wildcards.backend} --numerics {wildcards.numerics}"
        " --scale {wildcards.scale} --seed {wildcards.seed} --results {params.results}"
        " --time-limit $(({resources.runtime} * 57)) > {log} 2>&1"
