"""Names in a table's cells, as sentences: files hold names and numbers, prose is made where it is shown."""

from collections.abc import Callable, Mapping

import pandas as pd

from workflow.analysis.backends import Difference
from workflow.analysis.numerics import Conclusion

__all__ = ["SENTENCES", "in_sentences"]

Row = Mapping[str, str]
"""The cells of a row as they are written, by column."""
MISSING = ("", "nan")


def in_sentences(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """A frame of texts, in which the names of one column are sentences if the table ``name`` has such a column."""
    column, sentence = SENTENCES.get(name, ("", None))
    if sentence is None or column not in table:
        return table
    return table.assign(**{column: [sentence(row) for row in table.to_dict("records")]})


def _difference(row: Row) -> str:
    verdict = row["verdict"]
    if verdict == Difference.FINISHED:
        finished = f"{row['finished, a']} of {row['seeds']} finished with a, {row['finished, b']} with b"
        return f"differs: {finished}"
    found = {
        Difference.ERROR: ("error",),
        Difference.EVALUATIONS: ("evaluations",),
        Difference.BOTH: ("error", "evaluations"),
    }
    if verdict in found:
        return "differs: " + "; ".join(_ratio(row, name) for name in found[Difference(verdict)])
    return {
        Difference.NONE: "no difference beyond rounding chaos",
        Difference.NONE_FINISHED: "cannot tell: no run finished",
        Difference.ONE_SEED: "cannot tell: one seed",
        Difference.OTHER_SEEDS: "cannot tell: not the same seeds finished",
    }[Difference(verdict)]


def _ratio(row: Row, name: str) -> str:
    """A ratio that differs from 1, and whether the seeds of one backend differ as much."""
    ratio = float(row[f"{name} b / a"])
    within = " (inside the spread of the seeds)" if max(ratio, 1 / ratio) <= float(row[f"{name} spread"]) else ""
    return f"{name} x{ratio:.3g}{within}"


def _conclusion(row: Row) -> str:
    ending = ": error of b / a"
    ratios = {c.removesuffix(ending): t for c, t in row.items() if c.endswith(ending) and t not in MISSING}
    holds = ", ".join(name for name, ratio in ratios.items() if float(ratio) > 1)
    return {
        Conclusion.ALL: "holds with all numerics: the methods'",
        Conclusion.SOME: f"holds with {holds} only: the stop rule's or the precision's",
        Conclusion.NONE: "does not hold",
        Conclusion.ONE_NUMERICS: f"cannot tell: compared with {', '.join(ratios)} only",
    }[Conclusion(row["conclusion"])]


SENTENCES: Mapping[str, tuple[str, Callable[[Row], str]]] = {
    "backends": ("verdict", _difference),
    "conclusions": ("conclusion", _conclusion),
}
"""By table: the column of names, and what they say with the numbers beside them."""
