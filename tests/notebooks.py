"""Notebooks executed in this process, cell by cell, without Jupyter. ``python -m tests.notebooks FILE`` writes
what their cells give into them, as Jupyter would."""

import ast
import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

__all__ = ["execute"]


def execute(path: Path) -> list[list[dict[str, Any]]]:
    """The outputs of each code cell of a notebook, in the form that the file has them; one that fails raises."""
    names: dict[str, Any] = {"__name__": "__main__"}
    return [_outputs(cell, names, i + 1) for i, cell in enumerate(code_cells(json.loads(path.read_text())))]


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells that hold code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _outputs(cell: dict[str, Any], names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """What a cell's last expression is, as text and, of a figure, as PNG."""
    body = ast.parse("".join(cell["source"])).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
    value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None
    if value is None:
        return []
    data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
    if isinstance(value, Figure):
        png = io.BytesIO()
        value.savefig(png, format="png", dpi=80, metadata={"Software": None})
        data["image/png"] = base64.b64encode(png.getvalue()).decode()
    return [{"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data}]


def main(paths: list[str]) -> None:
    """Write the outputs into the notebooks."""
    for path in map(Path, paths):
        notebook = json.loads(path.read_text())
        for i, (cell, outputs) in enumerate(zip(code_cells(notebook), execute(path), strict=True)):
            cell |= {"outputs": outputs, "execution_count": i + 1}
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
