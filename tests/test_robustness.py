"""The page on robustness names tests that there are."""

import ast
import re

from tests.conftest import ROOT

NAMED = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (ROOT / "docs/robustness.md").read_text())


def test_every_test_that_is_named_exists():
    assert len(NAMED) >= 18
    for file, name in NAMED:
        tree = ast.parse((ROOT / "tests" / file).read_text())
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (file, name)


def test_all_items_are_there_once():
    numbers = re.findall(r"^\| (\d+)\. ", (ROOT / "docs/robustness.md").read_text(), re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 20)]
