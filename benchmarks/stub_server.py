"""A fast stand-in for a chat API, to measure clients against: raw asyncio, about 0.05 ms of CPU per call.

    python benchmarks/stub_server.py [--latency-ms 50] [--rpm 6000 --burst-seconds 1] [--faults 0.15]

Prints its port, then counts as JSON when it ends (EOF on stdin). `--faults` is the share of requests that go wrong: a third 500, a third
429, the rest resets, bodies that break off, and broken JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time

BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "stub",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "An answer. " * 40}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 80, "total_tokens": 130},
    }
).encode()
MESSAGE = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "stub",
        "content": [{"type": "text", "text": "An answer. " * 40}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 50, "output_tokens": 80},
    }
).encode()


class Limiter:
    """A bucket of `burst_seconds` worth of requests."""

    def __init__(self, rpm: float, burst_seconds: float) -> None:
        self.rate = rpm / 60
        self.capacity = max(1.0, self.rate * burst_seconds)
        self.level, self.at = self.capacity, time.monotonic()

    def wait(self) -> float:
        """0 when the request may pass, else seconds until one may."""
        now = time.monotonic()
        self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.rate


class Stub(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    options: argparse.Namespace
    limiter: Limiter | None = None
    rng = random.Random(5)
    counts: dict[str, int] = {"requests": 0, "ok": 0, "limited": 0, "faults": 0, "connections": 0}  # noqa: RUF012
    first_ok = last_ok = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""
        self.counts["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            self.body = MESSAGE if head.startswith(b"POST /v1/messages") else BODY
            if self.options.latency_ms:
                asyncio.get_running_loop().call_later(self.options.latency_ms / 1000, self.answer)
            else:
                self.answer()

    def answer(self) -> None:
        self.counts["requests"] += 1
        if self.limiter is not None and (wait := self.limiter.wait()) > 0:
            self.counts["limited"] += 1
            self.write(429, b'{"error":{"message":"slow down"}}', f"retry-after-ms: {wait * 1000:.0f}\r\n")
            return
        if self.options.faults and self.rng.random() < self.options.faults:
            self.counts["faults"] += 1
            self.fail(self.rng.randrange(9))
            return
        Stub.last_ok = time.monotonic()
        Stub.first_ok = Stub.first_ok or Stub.last_ok
        self.counts["ok"] += 1
        self.write(200, self.body)

    def fail(self, kind: int) -> None:
        if kind < 3:
            self.write(500, b'{"error":{"message":"oops"}}')
        elif kind < 6:
            self.write(429, b'{"error":{"message":"slow down"}}', "retry-after-ms: 20\r\n")
        elif kind == 6:
            self.transport.abort()
        elif kind == 7:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n" + BODY[:100])
            self.transport.close()
        else:
            self.write(200, BODY[:-20])

    def write(self, status: int, body: bytes, headers: str = "") -> None:
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {len(body)}\r\n\r\n"
            self.transport.write(head.encode() + body)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--rpm", type=float)
    parser.add_argument("--burst-seconds", type=float, default=1.0)
    parser.add_argument("--faults", type=float, default=0.0)
    Stub.options = parser.parse_args()
    if Stub.options.rpm:
        Stub.limiter = Limiter(Stub.options.rpm, Stub.options.burst_seconds)
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(json.dumps({**Stub.counts, "seconds": Stub.last_ok - Stub.first_ok}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
