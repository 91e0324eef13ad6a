"""The catalogue that the command line names."""

import argparse

from solvers.configuration.catalogue import Catalogue, ConfigurationError

__all__ = ["catalogue_of"]


def catalogue_of(options: argparse.Namespace) -> Catalogue:
    """That of ``--catalogue``; :class:`ConfigurationError` if it holds no experiments."""
    catalogue = Catalogue(options.catalogue)
    if not catalogue.names("experiments"):
        raise ConfigurationError("command line", "--catalogue", str(options.catalogue), "holds no experiments")
    return catalogue
