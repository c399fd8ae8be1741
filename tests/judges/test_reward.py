from __future__ import annotations

import pytest
from fakes import FakeModel

from gen.errors import RecipeError
from gen.gates.score import ScoreGate
from gen.judges.reward import Reward, read_rewards
from gen.llm.client import Client
from gen.plugins import build
from gen.recipe import ModelLine
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import serve
from gen.types import Message, Sample, Score

SYSTEM, ASK, REPLY = Message("system", "Be brief."), Message("user", "How long?"), Message("assistant", "Ten years.")
SAMPLE = Sample("s1", (SYSTEM, ASK, REPLY))
FIVE = "helpfulness:1.609375,correctness:1.6796875,coherence:3.3125,complexity:0.546875,verbosity:0.515625"


async def test_one_reward_is_the_score() -> None:
    model = FakeModel(lambda _: "reward:-6.40625")
    scored = await Reward("rm").score(SAMPLE, model)
    assert scored.scores == {"reward": Score(-6.40625)}
    assert model.requests[0].messages == (ASK, REPLY)
    assert ScoreGate("reward", minimum=-5).check(scored).reason == "below_minimum"


async def test_several_attributes_are_aspects_and_one_of_them_counts() -> None:
    scored = await Reward("rm").score(SAMPLE, FakeModel(lambda _: FIVE))
    assert scored.scores["reward"] == Score(1.609375, "helpfulness")
    assert scored.scores["reward.verbosity"] == Score(0.515625)
    assert len(scored.scores) == 6
    other = await Reward("rm", attribute="coherence").score(SAMPLE, FakeModel(lambda _: FIVE))
    assert other.scores["reward"].value == 3.3125
    missing = await Reward("rm", attribute="charm").score(SAMPLE, FakeModel(lambda _: FIVE))
    assert missing.scores["reward"].value is None
    assert "no 'charm' among helpfulness, correctness" in missing.scores["reward"].reason


async def test_the_system_prompt_goes_along_where_wanted() -> None:
    model = FakeModel(lambda _: "reward:1")
    await Reward("rm", with_system=True).score(SAMPLE, model)
    assert model.requests[0].messages == (SYSTEM, ASK, REPLY)


@pytest.mark.parametrize(
    "text", ["I would give it reward: 5 of 10", "reward:", "reward:nan", "5", "", "reward:1.2.3", "Score: 4. A fine answer."]
)
async def test_a_reply_that_says_anything_else_is_no_score(text: str) -> None:
    scored = await Reward("rm").score(SAMPLE, FakeModel(lambda _: text))
    assert scored.scores["reward"] == Score(None, "unreadable opinion: the reply holds no 'reward:NUMBER'")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("reward: 1e-3", {"reward": 0.001}),
        (" Reward:+2 \n", {"reward": 2.0}),
        ('{"reward": 3}', {}),
        ("a:1, b:2", {"a": 1.0, "b": 2.0}),
    ],
)
def test_pairs_of_name_and_number_are_read(text: str, found: dict[str, float]) -> None:
    assert read_rewards(text) == found


async def test_over_the_real_wire_a_chat_that_ends_with_the_answer_is_rewarded() -> None:
    async with serve(SimulatorOptions(flaws={})) as server:
        line = ModelLine(provider="openai", model="nvidia/some-reward", base_url=f"{server.base_url}/v1")
        async with Client({"rm": line}, cache=None) as client:
            scored = await Reward("rm").score(SAMPLE, client.generate)
    assert scored.scores["reward"].value is not None
    assert scored.provenance.simulated


def test_an_attribute_is_a_name() -> None:
    with pytest.raises(RecipeError, match="no name of an attribute"):
        build("judges", "reward", {"model": "rm", "attribute": "Helpful!"})
