"""The short form of the fault campaign, and its own parts."""

import shutil

import pytest
from hypothesis import strategies as st

from solvers.runs.run import run
from tests.conftest import smoke_spec
from tests.faults import hostile
from tests.faults.campaign import Campaign, Outcome, compare


@pytest.mark.pipeline
def test_kills_lose_and_change_nothing(tmp_path):
    config = ["scale=smoke", "seeds=1", "experiments=heat-0.3,poisson-4-150", "methods=mmpinn,mff"]
    pauses = {"shortest_pause": 2.0, "longest_pause": 6.0}
    chosen = {"early": 1, "switching": 2}
    outcome = Campaign(config, kills=6, checkpoint_interval=0.05, in_one_process=True, **pauses, **chosen).run(
        tmp_path
    )
    assert outcome.kills["first second"] == 1 and outcome.kills["switch"] == 2
    assert outcome.kills.total() == 9
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


def test_hostile_inputs_cost_a_line_and_change_nothing(tmp_path):
    campaign = hostile.Campaign(tmp_path, share=1 / 12)
    campaign.run()
    assert not campaign.breaches, "\n".join(campaign.breaches)
    assert campaign.tried.total() >= 70 and len(campaign.refused) == 4, str(campaign)


def test_a_breach_is_counted_and_mended(tmp_path):
    campaign = hostile.Campaign(tmp_path, share=1)

    def losing(_: object) -> bool:
        (campaign.ours / hostile.PLACE / "run.json").unlink()
        return True

    campaign.each("files", ["one"], st.just("two"), 1, losing)
    assert len(campaign.breaches) == 2 and "a finished run is lost or another" in campaign.breaches[0]
    assert hostile.contents(campaign.ours) == campaign.before
