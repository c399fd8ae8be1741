"""Claims checked against the outside world: a model takes the answer apart, the user's tool looks each claim up, a model compares.

After Min et al. 2023, "FActScore": the share of atomic claims that a source supports, where the verdict goes by what was found and never by
what the model believes. A tool that fails makes no verdict: only an empty answer of a tool that works is "not found".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from gen.bounds import check_bounds
from gen.concurrency import together
from gen.judges._scored import STEP, Told, ask_endpoint, closed, listed, question, scored, share
from gen.opinions import MAX_REASON, Opinion, Unreadable, answer_of, ask_opinion, draw_of_opinion, frame_mark, question_of
from gen.prompts import load
from gen.types import Generate, Json, Message, Request, Sample, Score

Verdict = Literal["supported", "refuted", "not_found"]
VERDICTS: tuple[Verdict, ...] = ("supported", "refuted", "not_found")
_MAX_CLAIM = 500  # characters of a claim: it is one sentence
_MAX_SHOWN = 2000  # characters of the evidence for one claim that the model sees
_MAX_KEPT = 300  # characters of it that the provenance keeps


@dataclass(frozen=True, slots=True)
class Checked:
    """A claim, what became of it and why."""

    claim: str
    verdict: Verdict
    reason: str = ""
    evidence: str = ""

    def note(self) -> dict[str, str]:
        return {"claim": self.claim, "verdict": self.verdict, "reason": self.reason, "evidence": self.evidence[:_MAX_KEPT]}


@dataclass(frozen=True)
class Claims:
    """Options of `claims`.

    `model` takes the answer apart and holds the claims to what was found; `lookup` is the model line of the tool (provider `search` or
    `command`). `max_claims` of an answer are looked up. `tries` is how often an unreadable opinion is asked for again. `structured: false`
    sends no JSON schema. `name` is the recipe's label.
    """

    model: str
    lookup: str
    max_claims: int = 10
    temperature: float = 0.0
    max_tokens: int | None = None
    tries: int = 2
    structured: bool = True
    name: str = "claims"

    def __post_init__(self) -> None:
        check_bounds(self, max_claims=(1, 50), temperature=(0, 2), max_tokens=(16, 1_000_000), tries=(0, 5))

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model, self.lookup)

    @property
    def asks(self) -> Mapping[str, tuple[str, ...]]:
        """What the tool's line must answer."""
        return {self.lookup: ("lookup",)}

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("judges/claims_split", "judges/claims_verdict")

    @property
    def aspects_scored(self) -> tuple[str, ...]:
        return VERDICTS

    async def score(self, sample: Sample, generate: Generate) -> Sample:
        """The sample with the share of supported claims (`claims`, 1 for an answer that claims nothing) and how many are supported, refuted
        and not found (`claims.refuted`); each claim with its verdict and evidence stands in the provenance's notes. Without a value where
        an opinion stayed unreadable or a lookup failed."""
        found = answer_of(sample)
        if found is None:
            return scored(sample, {self.name: Score(None, "no opinion: the conversation has no answer")})
        split = await self._split(sample.id, *found, generate)
        if split.value is None:
            return scored(sample, {self.name: Score(None, split.problem)}, requests=split.requests, simulated=split.simulated)
        told = await together(self._look_up(claim, generate) for claim in split.value)
        requests = [*split.requests, *(key for one in told for key in one.requests)]
        simulated = split.simulated or any(one.simulated for one in told)
        failed = [one.problem for one in told if one.problem]
        if failed:
            why = f"no opinion: {len(failed)} of {len(told)} lookups failed ({failed[0].removeprefix('no opinion: ')})"
            return scored(sample, {self.name: Score(None, why)}, requests=requests, simulated=simulated)
        verdicts = await self._verdicts(sample.id, split.value, [one.text for one in told], generate)
        requests += verdicts.requests
        simulated = simulated or verdicts.simulated
        if verdicts.value is None:
            return scored(sample, {self.name: Score(None, verdicts.problem)}, requests=requests, simulated=simulated)
        notes = {self.name: [one.note() for one in verdicts.value]} if verdicts.value else {}
        return scored(sample, self._scores(verdicts.value), requests=requests, simulated=simulated, notes=notes)

    async def _split(self, name: str, before: Sequence[Message], answer: str, generate: Generate) -> Opinion[list[str]]:
        _, instruction = question_of(before)
        mark = frame_mark([instruction, answer])
        prompt = load("judges/claims_split")

        def request(number: int, problem: str) -> Request:
            asked = prompt.render(instruction=instruction, answer=answer, most=self.max_claims, mark=mark, problem=problem)
            schema = listed("claims", {"type": "string"})
            return question(self, self.model, "split", asked, schema, draw_of_opinion(name, self.name, "split", number))

        return await ask_opinion(generate, request, partial(_read_claims, most=self.max_claims), key="claims", tries=self.tries)

    async def _look_up(self, claim: str, generate: Generate) -> Told:
        """The tool's finds on one claim: the same request for the same claim in every sample, so that it is looked up once."""
        asked = Request(model=self.lookup, messages=(Message("user", claim),), purpose=f"{self.name}.lookup", step=STEP)
        return await ask_endpoint(generate, asked)

    async def _verdicts(self, name: str, claims: Sequence[str], finds: Sequence[str], generate: Generate) -> Opinion[list[Checked]]:
        """Every claim with its verdict; those that nothing was found about need none from a model."""
        pairs = [(claim, find.strip()[:_MAX_SHOWN]) for claim, find in zip(claims, finds, strict=True) if find.strip()]
        if not pairs:
            return Opinion([Checked(claim, "not_found", "the tool found nothing") for claim in claims])
        mark = frame_mark([text for pair in pairs for text in pair])
        prompt = load("judges/claims_verdict")

        def request(number: int, problem: str) -> Request:
            asked = prompt.render(pairs=pairs, mark=mark, problem=problem)
            return question(self, self.model, "verdict", asked, _verdict_schema(), draw_of_opinion(name, self.name, "verdict", number))

        opinion = await ask_opinion(generate, request, partial(_read_verdicts, count=len(pairs)), key="verdicts", tries=self.tries)
        if opinion.value is None:
            return Opinion(None, opinion.problem, opinion.requests, opinion.simulated)
        judged = iter(zip(opinion.value, pairs, strict=True))
        checked = []
        for claim, find in zip(claims, finds, strict=True):
            if not find.strip():
                checked.append(Checked(claim, "not_found", "the tool found nothing"))
                continue
            (verdict, reason), (_, evidence) = next(judged)
            checked.append(Checked(claim, verdict, reason, evidence))
        return Opinion(checked, "", opinion.requests, opinion.simulated)

    def _scores(self, checked: Sequence[Checked]) -> dict[str, Score]:
        counts = {verdict: sum(one.verdict == verdict for one in checked) for verdict in VERDICTS}
        each = {f"{self.name}.{verdict}": Score(float(count), _first_of(checked, verdict)) for verdict, count in counts.items()}
        if not checked:
            return {self.name: Score(1.0, "the answer makes no claim that can be looked up"), **each}
        whole = Score(share(counts["supported"], len(checked)), ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
        return {self.name: whole, **each}


def _first_of(checked: Sequence[Checked], verdict: Verdict) -> str:
    """The first claim with a verdict, and why; supported ones need no words."""
    first = next((one for one in checked if one.verdict == verdict), None) if verdict != "supported" else None
    return f"{first.claim[:200]} ({first.reason})"[:MAX_REASON] if first else ""


def _read_claims(value: Json, *, most: int) -> list[str] | Unreadable:
    """The claims out of {"claims": ["…", …]} or [{"claim": "…"}, …], each once."""
    entries = value.get("claims") if isinstance(value, Mapping) else None
    if not isinstance(entries, list):
        return Unreadable("'claims' must be a list of sentences")
    given = [entry.get("claim") if isinstance(entry, Mapping) else entry for entry in entries]
    texts = [text for text in given if isinstance(text, str) and text.strip()]
    if len(texts) < len(given):
        return Unreadable("a claim is no sentence")
    return list(dict.fromkeys(" ".join(text.split())[:_MAX_CLAIM] for text in texts))[:most]


def _read_verdicts(value: Json, *, count: int) -> list[tuple[Verdict, str]] | Unreadable:
    """(verdict, reason) in the claims' order out of {"verdicts": [{"number", "reason", "verdict"}, …]}."""
    entries = value.get("verdicts") if isinstance(value, Mapping) else None
    if not isinstance(entries, list) or len(entries) != count:
        return Unreadable(f"'verdicts' must be a list of {count} entries, one per claim")
    found: dict[int, tuple[Verdict, str]] = {}
    for place, entry in enumerate(entries, 1):
        given = entry if isinstance(entry, Mapping) else {}
        number, verdict, reason = (
            given.get("number", place),
            str(given.get("verdict")).strip().lower().replace(" ", "_"),
            given.get("reason"),
        )
        if verdict not in VERDICTS:
            return Unreadable(f"each verdict must be one of {', '.join(VERDICTS)}")
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count or number in found:
            return Unreadable(f"the claims' numbers must be 1 to {count}, each once")
        found[number] = (verdict, " ".join(reason.split())[:MAX_REASON] if isinstance(reason, str) else "")
    return [found[number] for number in range(1, count + 1)]


def _verdict_schema() -> Json:
    verdict = {"type": "string", "enum": list(VERDICTS)}
    return listed("verdicts", closed({"number": {"type": "integer"}, "reason": {"type": "string"}, "verdict": verdict}))


PLUGIN = Claims
