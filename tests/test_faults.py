"""The short form of the fault campaign, and its own parts."""

import shutil

import pytest

from solvers.run import run
from tests.conftest import smoke_spec
from tests.faults.campaign import Campaign, Outcome, compare


@pytest.mark.pipeline
def test_kills_lose_and_change_nothing(tmp_path):
    config = ["scale=smoke", "seeds=1", "experiments=heat-0.3,poisson-4-150", "methods=mmpinn,mff"]
    outcome = Campaign(config, kills=6, checkpoint_interval=0.05, shortest_pause=2.0, longest_pause=6.0).run(
        tmp_path
    )
    assert outcome.kills.total() == 6
    assert not outcome.lost and not outcome.different, str(outcome)
    assert outcome.results >= 4


def test_the_comparison_finds_what_is_lost_and_what_is_different(tmp_path):
    place = "smoke/heat-0.3/pinn/torch/paper/0"
    run(smoke_spec(("heat-0.3", "pinn"), "torch", "paper"), tmp_path / "one" / place)
    shutil.copytree(tmp_path / "one", tmp_path / "same")
    run(smoke_spec(("heat-0.3", "pinn"), "torch", "paper", seed=1), tmp_path / "other" / place)
    for found, lost, different in (("same", 0, 0), ("none", 1, 0), ("other", 0, 1)):
        outcome = Outcome()
        compare(tmp_path / "one", tmp_path / found, outcome)
        assert (outcome.results, len(outcome.lost), len(outcome.different)) == (1, lost, different)
