from __future__ import annotations

from pathlib import Path

import pytest

from gen.errors import RequestRejected
from gen.ledger import Ledger
from gen.recorder import Recorder
from gen.types import Malformed, Message, Outcome, Provenance, Request, Response, Task

REQUEST = Request("writer", (Message("user", "Hi"),))


@pytest.mark.parametrize(
    ("reason", "remembered"),
    [
        pytest.param("bad_request", True, id="what lies in the request is never sent again"),
        pytest.param("content_policy", True, id="nor what the policy refuses"),
        pytest.param("not_found", False, id="a model that is missing today is asked for again"),
    ],
)
async def test_final_errors_are_replayed_where_they_lie_in_the_request(reason: str, remembered: bool, tmp_path: Path) -> None:
    sent = 0

    async def refuse(_: Request) -> Response:
        nonlocal sent
        sent += 1
        raise RequestRejected("no", reason=reason, status=400)

    for _ in range(2):
        ledger = Ledger(tmp_path / "run.db")
        recorder = Recorder(refuse, ledger)
        with pytest.raises(RequestRejected, match="no"):
            await recorder.generate(REQUEST)
        ledger.write_errors(recorder.take_errors())
        ledger.close()
    assert sent == (1 if remembered else 2)


async def test_a_call_is_handed_over_once_and_then_forgotten(tmp_path: Path) -> None:
    async def answer(_: Request) -> Response:
        return Response("Hello", key="k1")

    ledger = Ledger(tmp_path / "run.db")
    recorder = Recorder(answer, ledger)
    await recorder.generate(REQUEST)
    outcome = Outcome(Task("s", "t", 0, 0, 1), Malformed("m", "r", provenance=Provenance(requests=("k1", "unknown"))))
    assert [call.key for call in recorder.take_calls([outcome])] == ["k1"]
    assert recorder.take_calls([outcome]) == []
    assert not recorder.calls
    ledger.close()
