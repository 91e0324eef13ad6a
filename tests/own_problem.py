"""A problem that is not the paper's, in two directions of space and in time, put beside the suite's own."""

import shutil
from collections.abc import Iterator

import pytest

import problems
from solvers import plugins
from solvers.configuration.catalogue import Catalogue
from tests.conftest import ROOT

__all__ = ["OWN", "own_catalogue"]

OWN = ROOT / "tests/own"
"""Its two files, in the folders where they would be put."""


@pytest.fixture(scope="module")
def own_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """A catalogue with the experiment ``plate``, whose problem is known as long as a module's tests run."""
    config = tmp_path_factory.mktemp("own") / "config"
    shutil.copytree(ROOT / "config", config)
    shutil.copytree(OWN / "config", config, dirs_exist_ok=True)
    problems.__path__.append(str(OWN / "problems"))
    plugins._names.cache_clear()
    yield Catalogue(config)
    problems.__path__.remove(str(OWN / "problems"))
    plugins._names.cache_clear()
