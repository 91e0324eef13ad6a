# One job is one run: the very command a person types.


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
        mem_mb=2000,
    params:
        identity=identity,
    message:
        "{wildcards.experiment} {wildcards.method} {wildcards.backend} {wildcards.numerics} seed {wildcards.seed}"
    shell:
        "python -m solvers run {wildcards.experiment} {wildcards.method}"
        " --backend {wildcards.backend} --numerics {wildcards.numerics}"
        " --scale {wildcards.scale} --seed {wildcards.seed} > {log} 2>&1"
