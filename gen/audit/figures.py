"""Every figure of an audit as JSON: what `--json` prints and audit.json holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gen import __version__
from gen.audit.findings import Finding, findings
from gen.audit.measures import Audit, Lengths
from gen.audit.survey import Survey
from gen.audit.targets import Place, place_text
from gen.audit.texts import LEAKS_SHOWN, Said
from gen.markup import cut

_OPENINGS, _LINES, _QUOTED = 20, 100, 2_000


def figures(audit: Audit, said: Mapping[Place, Said]) -> dict[str, Any]:
    """The whole audit. Line numbers count from 1; shares go from 0 to 1. `said` holds the texts of the families, leaks and contradictions
    that are shown; of other records, nothing is quoted but openings and labels."""
    survey, found = audit.survey, audit.duplicates
    listed = findings(audit)
    return {
        "made_with": f"Sluice {__version__}",
        "files": [
            {"name": target.name, "path": str(target.path), "records": survey.records[at], "unreadable": survey.unreadable[at].total()}
            for at, target in enumerate(audit.targets)
        ],
        "records": audit.records,
        "passed": not any(one.issue for one in listed),
        "issues": [_finding(one, audit) for one in listed if one.issue],
        "notes": [_finding(one, audit) for one in listed if not one.issue],
        "scans": {
            name: {"count": tally.count, "reasons": dict(tally.reasons.most_common())} for name, tally in sorted(survey.found.items())
        },
        "tokens": {
            "counted_by": audit.tokens_by,
            "estimated": audit.estimated,
            "max_length": audit.max_length or None,
            **_lengths(audit.tokens),
            "over_max_length": audit.truncated if audit.max_length else None,
            "over_max_length_share": round(audit.truncated / audit.records, 6) if audit.max_length else None,
            "histogram": [{"from": first, "to": last, "records": count} for first, last, count in audit.bins],
        },
        "prompt_words": _lengths(audit.prompts),
        "reply_words": _lengths(audit.replies),
        "outliers": {
            one.side: {"count": one.count, "farthest": [{"at": place_text(place, audit.targets), "words": n} for place, n in one.named]}
            for one in audit.outliers
        },
        "duplicates": {
            "exact": audit.count("copies"),
            "near": found.near,
            "near_share": round(found.near / audit.records, 6),
            "repeated_on_purpose": survey.repeats,
            "family_sizes": {str(size): count for size, count in found.sizes},
            "families": [
                {"size": family.size, "members": [_quoted(place, audit, said) for place in family.places if place in said]}
                for family in found.largest
            ],
        },
        "leaks": {
            "families": found.leaking_families,
            "between": [
                {"from": audit.targets[one].name, "into": audit.targets[other].name, "records": count}
                for one, other, count in found.leaking
            ],
            "examples": [[place_text(leak.learnt, audit.targets), place_text(leak.held, audit.targets)] for leak in found.leaks],
            "shown": [
                [_quoted(place, audit, said) for place in (leak.learnt, leak.held) if place in said] for leak in found.leaks[:LEAKS_SHOWN]
            ],
        },
        "contradictions": [
            {"kind": one.kind, "first": place_text(one.first, audit.targets), "second": place_text(one.second, audit.targets)}
            | ({"texts": [asdict(said[place]) for place in (one.first, one.second)]} if one.first in said and one.second in said else {})
            for one in audit.contradictions.named
        ],
        "preferences": _preferences(survey),
        "turns": {str(turns): count for turns, count in sorted(survey.turns.items())},
        "roles": dict(survey.roles.most_common(_OPENINGS)),
        "languages": _ranked(survey.languages),
        "labels": {one.name: dict(one.values) for one in audit.balances},
        "prompt_openings": _ranked(survey.prompt_openings),
        "reply_openings": _ranked(survey.reply_openings),
        "simulated": survey.simulated,
    }


def _quoted(place: Place, audit: Audit, said: Mapping[Place, Said]) -> dict[str, str]:
    return {"at": place_text(place, audit.targets), "prompt": cut(said[place].prompt, _QUOTED), "reply": cut(said[place].reply, _QUOTED)}


def _preferences(survey: Survey) -> dict[str, Any]:
    pairs, labels = survey.pairs, survey.labels
    return {
        "pairs": pairs.count,
        "same_answers": pairs.same,
        "chosen_longer": pairs.longer,
        "chosen_shorter": pairs.shorter,
        "longer_share": round(pairs.longer_share, 6),
        "median_difference_words": pairs.median_difference,
        "wanted": labels.wanted,
        "unwanted": labels.unwanted,
    }


def _finding(one: Finding, audit: Audit) -> dict[str, Any]:
    at = [place_text(place, audit.targets) for place in one.places[:_LINES]]
    return {"code": one.code, "count": one.count, "of": one.of, "share": round(one.share, 6), "text": one.text, "at": at, "cure": one.cure}


def _lengths(lengths: Lengths) -> dict[str, Any]:
    shown = asdict(lengths)
    del shown["heights"], shown["count"]
    return shown | {"mean": round(lengths.mean, 2)}


def _ranked(counts: Counter[str]) -> dict[str, int]:
    """The most frequent, ties in alphabetical order: the same on every run."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_OPENINGS])
