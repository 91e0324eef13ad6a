"""What README.md, ``docs/results.md`` and ``reports/archive`` say of the archived runs.

``python -m workflow.readme`` makes them anew. Tests fail when they differ from what the archive gives.
"""
