"""Kill a run with SIGKILL again and again, and count at the server what was paid for twice.

    python benchmarks/kills.py [--kills 20]

A run of three strategies with a judge is killed at random moments, started again each time, and at last left to finish. A call counts as
paid once the server answered it with 200; a kill may lose the replies of the calls that are open at that moment, and nothing else. Exits
with status 1 where more than those were paid twice, a row is missing or stands there twice, or the files differ from those of a run
that nobody disturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from simulator_process import simulator

SLOTS = 16
RECIPE = """\
name: kills
models:
  writer: {{provider: openai, model: m, base_url: "{base_url}/v1", api_key_env: SLUICE_BENCH_KEY, max_concurrency: {slots}}}
sources: {{topics: [GDPR data retention, Basel III capital, AML checks]}}
strategies:
  - {{name: self_instruct, model: writer}}
  - {{name: evol_instruct, model: writer}}
  - {{name: persona, model: writer}}
judges: [{{name: rubric, model: writer}}]
gates: [schema, refusal, truncation, language, length, exact_dup, near_dup, {{name: score, judge: rubric, minimum: 2}}]
goal: {{accepted: 300}}
"""
FILES = ("accepted.jsonl", "rejected.jsonl", "sft/train.jsonl", "sft/validation.jsonl", "sft/test.jsonl")


def start(recipe: Path, out: Path) -> subprocess.Popen[str]:
    """A run of `recipe` in a process of its own."""
    command = [sys.executable, "-m", "gen.commands", "run", str(recipe), "--out", str(out), "--cache", f"{out}.db", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed_again_and_again(recipe: Path, out: Path, kills: int, whole: float, counts: Callable[[], dict[str, float]]) -> int:
    """Kill the run at `kills` random moments, then let it finish; how many calls can have been open at the kills."""
    rng, before, killed = random.Random(20), counts()["ok"], 0
    targets = sorted(rng.uniform(0.02, 0.98) * whole for _ in range(kills))
    for target in targets:
        victim = start(recipe, out)
        while victim.poll() is None and counts()["ok"] - before < target:
            time.sleep(rng.uniform(0.0, 0.02))
        victim.kill()
        killed += victim.wait() < 0
    last = start(recipe, out)
    result = json.loads(last.communicate()[0])
    assert last.returncode == 0, result
    print(f"{killed} kills; the last start found {result['session']['cache_hits']:,} replies in the cache")
    return killed * SLOTS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    kills = parser.parse_args().kills
    os.environ.setdefault("SLUICE_BENCH_KEY", "none")
    with tempfile.TemporaryDirectory() as place, simulator({"latency_ms": 40, "jitter_ms": 60}) as (base_url, counts):
        folder = Path(place)
        recipe = folder / "kills.yaml"
        recipe.write_text(RECIPE.format(base_url=base_url, slots=SLOTS), encoding="utf-8")
        assert start(recipe, folder / "whole").wait() == 0
        whole = counts()["ok"]
        open_calls = killed_again_and_again(recipe, folder / "killed", kills, whole, counts)
        twice = counts()["ok"] - 2 * whole
        same = all((folder / "whole" / name).read_bytes() == (folder / "killed" / name).read_bytes() for name in FILES)
        ids = [json.loads(line)["id"] for line in (folder / "killed" / "accepted.jsonl").read_text(encoding="utf-8").splitlines()]
    print(f"{whole:,.0f} calls undisturbed; {twice:,.0f} more with the kills (at most {open_calls:,}: {SLOTS} open at each kill)")
    print(f"{len(ids)} rows, {len(ids) - len(set(ids))} twice; files {'equal' if same else 'DIFFER from'} those of the undisturbed run")
    return 0 if twice <= open_calls and len(set(ids)) == len(ids) == 300 and same else 1


if __name__ == "__main__":
    sys.exit(main())
