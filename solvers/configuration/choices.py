"""What a configuration may choose: one name, some names, seeds, GPUs; each from a file or from ``--config``."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from solvers.configuration.strict_yaml import ConfigurationError
from solvers.plugins import unknown

__all__ = ["SOURCE", "gpus", "names_of", "one_of", "seeds_of"]

SOURCE = "config/config.yaml or --config"
MOST_SEEDS = 10_000
LONGEST_SEED = 18


def one_of(source: str, key: str, value: Any, allowed: Sequence[str]) -> str:
    """``value`` if it is among ``allowed``; :class:`ConfigurationError` names these."""
    if value not in allowed:
        hint = "; YAML reads on, off, yes and no as true and false" if isinstance(value, bool) else ""
        raise ConfigurationError(source, key, value, f"{unknown('name', value, allowed)}{hint}")
    return value


def names_of(
    source: str,
    key: str,
    value: Any,
    allowed: Sequence[str],
    every: Sequence[str] = (),
    groups: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[str]:
    """Names from ``all``, ``a``, ``a,b``, ``all,c`` or a list; each once, in the order given. ``every``: what
    ``all`` means, if not all that are ``allowed``; ``groups``: names for several of these."""
    several = {"all": every or allowed, **groups}
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not allowed:
        raise ConfigurationError(source, key, value, f"must be all or names of: {', '.join(allowed)}")
    found = [
        one_of(source, key, name.strip() if isinstance(name, str) else name, [*several, *allowed])
        for name in names
    ]
    found = [each for name in found for each in several.get(name, [name])]
    if len(set(found)) != len(found):
        shown = " and ".join(several)
        problem = f"names each thing once; {shown} {'are names' if groups else 'is a name'} for several"
        raise ConfigurationError(source, key, value, problem)
    return found


def seeds_of(source: str, value: Any, default: int) -> list[int]:
    """Seeds from a count, a list, or ``None`` for the default count.

    Snakemake hands over the numbers of ``seeds=[0,7]`` as texts.
    """
    value = default if value is None else value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SEEDS:
        return list(range(value))
    texts = [str(seed) for seed in value] if isinstance(value, list) else []
    seeds = [int(text) for text in texts if text.isdecimal() and len(text) <= LONGEST_SEED]
    if seeds and len(seeds) == len(texts) == len(set(seeds)):
        return seeds
    problem = (
        f"must be a count of at least 1 (and at most {MOST_SEEDS}), or a list of different seeds such as [0,7]"
    )
    raise ConfigurationError(source, "seeds", value, problem)


def gpus(value: Any) -> int:
    """How many GPUs a run takes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ConfigurationError(SOURCE, "gpu", value, "must be how many GPUs a run takes: 0, 1, 2, ...")
