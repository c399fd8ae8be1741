"""The routes of both batch APIs: OpenAI's files and batches, Anthropic's message batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from aiohttp import web

from gen.simulator import wire_anthropic, wire_openai
from gen.simulator.batches import Answered, Batch, Batches, Entry
from gen.simulator.marks import HEADER, draw_of_item
from gen.simulator.routes import ROUTES
from gen.simulator.service import Service
from gen.simulator.wire import Problem, invalid
from gen.types import Json

_DAY = 86400
_MOST_REQUESTS = {"openai": 50_000, "anthropic": 100_000}
_MOST_LISTED = 100
_Given = tuple[list[Entry], list[tuple[int | None, str, str]]]


class _Send(Protocol):
    def __call__(self, request: web.Request, status: int, body: dict[str, Json]) -> web.Response: ...


class BatchRoutes:
    """`send` and `problem` are the server's ways to answer."""

    def __init__(
        self, service: Service, batches: Batches, send: _Send, problem: Callable[[web.Request, Problem], web.StreamResponse]
    ) -> None:
        self._service, self._batches, self._send, self._problem = service, batches, send, problem

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register all routes."""
        router.add_post("/v1/files", self._upload)
        router.add_get("/v1/files/{id}/content", self._content)
        router.add_post("/v1/batches", self._create)
        router.add_get("/v1/batches", self._list)
        router.add_get("/v1/batches/{id}", self._retrieve)
        router.add_post("/v1/batches/{id}/cancel", self._cancel)
        router.add_post("/v1/messages/batches", self._create_messages)
        router.add_get("/v1/messages/batches", self._list)
        router.add_get("/v1/messages/batches/{id}", self._retrieve)
        router.add_get("/v1/messages/batches/{id}/results", self._results)
        router.add_post("/v1/messages/batches/{id}/cancel", self._cancel)

    # --- OpenAI ------------------------------------------------------------------------------------------------------------------

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        if (problem := self._key_problem(request)) is not None:
            return self._problem(request, problem)
        form = await request.post()
        file = form.get("file")
        if not isinstance(file, web.FileField) or form.get("purpose") != "batch":
            return self._problem(request, invalid("'file' must be a file and 'purpose' must be 'batch'", param="file"))
        content = file.file.read()
        body: dict[str, Json] = {
            "id": self._batches.keep_file(content),
            "object": "file",
            "bytes": len(content),
            "created_at": 0,
            "filename": file.filename[:200],
            "purpose": "batch",
            "status": "processed",
        }
        return self._send(request, 200, body)

    async def _content(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["id"]
        content = self._batches.files.get(name)
        if content is None:
            return self._problem(request, _missing("file", name))
        return web.Response(body=content, content_type="application/octet-stream", headers={HEADER: "1"})

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if (problem := self._key_problem(request)) is not None:
            return self._problem(request, problem)
        given = _object(await request.read())
        path, name = given.get("endpoint"), given.get("input_file_id")
        if path not in ROUTES or path == "/v1/messages" or given.get("completion_window") != "24h":
            return self._problem(request, invalid("'endpoint' must be one of the batch API's and 'completion_window' '24h'"))
        content = self._batches.files.get(name) if isinstance(name, str) else None
        if content is None:
            return self._problem(request, _missing("file", str(name)))
        entries, problems = read_lines(content, str(path))
        if not problems and (wrong := self._batches.model_problem(key_of(request), entries)) is not None:
            problems = [(place, wrong.code or wrong.kind, wrong.message) for place in range(1, len(entries) + 1)]
        metadata = given.get("metadata")
        batch = self._batches.begin(
            "batch_",
            str(path),
            entries,
            metadata=metadata if isinstance(metadata, dict) else {},
            input_file=str(name),
            problems=problems,
        )
        return self._send(request, 200, self._openai_body(batch))

    def _openai_body(self, batch: Batch) -> dict[str, Json]:
        over = self._batches.over(batch)
        status = "in_progress"
        files: dict[str, Json] = {"output_file_id": None, "error_file_id": None}
        counts = {"total": len(batch.entries), "completed": 0, "failed": 0}
        if over and batch.problems:
            status = "failed"
        elif over:
            answers = self._batches.answers(batch)
            good = [one for one in answers if one.status == 200]
            counts |= {"completed": len(good), "failed": len(answers) - len(good)}
            for kind, some in (("output_file_id", good), ("error_file_id", [one for one in answers if one.status != 200])):
                files[kind] = self._file(f"file-{kind[:6]}-{batch.id}", some) if some else None
            status = "cancelled" if batch.cancelled is not None else "expired" if batch.fault == "expired" else "completed"
        errors = [{"line": line, "code": code, "message": message, "param": None} for line, code, message in batch.problems]
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.path,
            "errors": {"object": "list", "data": errors} if errors and status == "failed" else None,
            "input_file_id": batch.input_file,
            "completion_window": "24h",
            "status": status,
            "created_at": int(batch.created),
            "expires_at": int(batch.created) + _DAY,
            "request_counts": counts,
            "metadata": dict(batch.metadata),
            **files,
        }

    def _file(self, name: str, answers: Iterable[Answered]) -> str:
        if name not in self._batches.files:
            self._batches.files[name] = b"".join(orjson.dumps(_openai_line(one)) + b"\n" for one in answers)
        return name

    # --- Anthropic ---------------------------------------------------------------------------------------------------------------

    async def _create_messages(self, request: web.Request) -> web.StreamResponse:
        entries = read_requests(_object(await request.read()).get("requests"))
        if isinstance(entries, Problem):
            return self._problem(request, entries)
        wrong = self._key_problem(request) or self._batches.model_problem(key_of(request), entries)
        if wrong is not None:
            return self._problem(request, wrong)
        return self._send(request, 200, self._anthropic_body(self._batches.begin("msgbatch_", "/v1/messages", entries)))

    def _anthropic_body(self, batch: Batch) -> dict[str, Json]:
        over = self._batches.over(batch)
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        if over:
            for one in self._anthropic_answers(batch):
                counts[_anthropic_kind(one)] += 1
        else:
            counts["processing"] = len(batch.entries)
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if over else "in_progress",
            "request_counts": counts,
            "created_at": _moment(batch.created),
            "expires_at": _moment(batch.created + _DAY),
            "ended_at": _moment(batch.created) if over else None,
            "cancel_initiated_at": _moment(batch.cancelled) if batch.cancelled is not None else None,
            "archived_at": None,
            "results_url": f"/v1/messages/batches/{batch.id}/results" if over else None,
        }

    def _anthropic_answers(self, batch: Batch) -> list[Answered]:
        """Here no batch fails as a whole: its requests do."""
        if batch.problems:
            problem = Problem(500, "api_error", batch.problems[0][2])
            return [Answered(one.custom_id, "done", 500, problem=problem) for one in batch.entries]
        return self._batches.answers(batch)

    async def _results(self, request: web.Request) -> web.StreamResponse:
        batch = self._found(request)
        if isinstance(batch, Problem):
            return self._problem(request, batch)
        if not self._batches.over(batch):
            return self._problem(request, invalid("the batch has not ended yet"))
        lines = (orjson.dumps({"custom_id": one.custom_id, "result": _anthropic_result(one)}) for one in self._anthropic_answers(batch))
        return web.Response(body=b"\n".join(lines), content_type="application/x-jsonl", headers={HEADER: "1"})

    # --- both --------------------------------------------------------------------------------------------------------------------

    async def _retrieve(self, request: web.Request) -> web.StreamResponse:
        batch = self._found(request)
        return self._problem(request, batch) if isinstance(batch, Problem) else self._send(request, 200, self._body(request, batch))

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        batch = self._found(request)
        if isinstance(batch, Problem):
            return self._problem(request, batch)
        self._batches.cancel(batch)
        return self._send(request, 200, self._body(request, batch))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if (problem := self._key_problem(request)) is not None:
            return self._problem(request, problem)
        prefix = "msgbatch_" if is_anthropic(request) else "batch_"
        latest_first = [batch for batch in reversed(self._batches.by_id.values()) if batch.id.startswith(prefix)]
        ids = [batch.id for batch in latest_first]
        after = request.query.get("after") or request.query.get("after_id")
        start = ids.index(after) + 1 if after in ids else 0
        limit = request.query.get("limit", "20")
        most = min(_MOST_LISTED, int(limit)) if limit.isascii() and limit.isdigit() and int(limit) else _MOST_LISTED
        page = latest_first[start : start + most]
        body: dict[str, Json] = {
            "object": "list",
            "data": [self._body(request, batch) for batch in page],
            "has_more": start + len(page) < len(ids),
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
        }
        return self._send(request, 200, body)

    def _body(self, request: web.Request, batch: Batch) -> dict[str, Json]:
        return self._anthropic_body(batch) if is_anthropic(request) else self._openai_body(batch)

    def _found(self, request: web.Request) -> Batch | Problem:
        if (problem := self._key_problem(request)) is not None:
            return problem
        name = request.match_info["id"]
        prefix = "msgbatch_" if is_anthropic(request) else "batch_"
        return self._batches.by_id.get(name) or _missing("batch", name) if name.startswith(prefix) else _missing("batch", name)

    def _key_problem(self, request: web.Request) -> Problem | None:
        models = self._service.options.models
        return self._service.refusal_to_serve(key_of(request), models[0] if models else "")


def is_anthropic(request: web.Request) -> bool:
    """Whether a request is to one of Anthropic's routes."""
    return request.path.startswith("/v1/messages")


def key_of(request: web.Request) -> str | None:
    """The API key that a request bears."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (token if scheme.lower() == "bearer" else None)


def read_lines(content: bytes, path: str) -> _Given:
    """The requests of an input file, and what is wrong with it: (line, code, message)."""
    entries: list[Entry] = []
    problems: list[tuple[int | None, str, str]] = []
    names: set[str] = set()
    lines = [line for line in content.split(b"\n") if line.strip()]
    if not lines or len(lines) > _MOST_REQUESTS["openai"]:
        return [], [(None, "invalid_request_count", f"a batch holds 1 to {_MOST_REQUESTS['openai']} requests, got {len(lines)}")]
    for number, line in enumerate(lines, 1):
        item = _object(line)
        name, body = item.get("custom_id"), item.get("body")
        if not isinstance(name, str) or not isinstance(body, dict) or not isinstance(body.get("model"), str):
            problems.append((number, "invalid_json_line", "This line is no request of a batch."))
        elif item.get("url") != path or item.get("method") != "POST":
            problems.append((number, "mismatched_url", f"This line's url is not the batch's endpoint {path}."))
        elif name in names:
            problems.append((number, "duplicate_custom_id", "This custom_id stands in an earlier line."))
        else:
            names.add(name)
            entries.append(Entry(name, body))
    if len({entry.body["model"] for entry in entries}) > 1:
        problems.append((None, "mismatched_model", "All requests of a batch must name the same model."))
    return entries, problems


def read_requests(given: Any) -> list[Entry] | Problem:
    """The requests of a message batch, or what is wrong with them."""
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_REQUESTS["anthropic"]:
        return invalid(f"requests: must be a list of 1 to {_MOST_REQUESTS['anthropic']}")
    entries: list[Entry] = []
    for place, item in enumerate(given):
        name, body = (item.get("custom_id"), item.get("params")) if isinstance(item, dict) else (None, None)
        if not isinstance(name, str) or not 1 <= len(name) <= 64 or not isinstance(body, dict) or not isinstance(body.get("model"), str):
            return invalid(f"requests.{place}: a custom_id of 1 to 64 characters and params with a model are wanted")
        entries.append(Entry(name, body, draw_of_item(name)))
    if len({entry.custom_id for entry in entries}) < len(entries):
        return invalid("requests: custom_ids must differ")
    return entries


def _openai_line(one: Answered) -> dict[str, Json]:
    line: dict[str, Json] = {"id": f"batch_req_{one.custom_id[:24]}", "custom_id": one.custom_id, "response": None, "error": None}
    if one.fate == "expired":
        line["error"] = {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}
    elif one.fate == "cancelled":
        line["error"] = {"code": "batch_cancelled", "message": "The batch was cancelled before this request was executed."}
    else:
        body = one.body if one.problem is None else wire_openai.error_body(one.problem)
        line["response"] = {"status_code": one.status, "request_id": "", "body": dict(body)}
    return line


def _anthropic_kind(one: Answered) -> str:
    if one.fate != "done":
        return {"expired": "expired", "cancelled": "canceled"}[one.fate]
    return "succeeded" if one.status == 200 else "errored"


def _anthropic_result(one: Answered) -> dict[str, Json]:
    kind = _anthropic_kind(one)
    if kind == "succeeded":
        return {"type": kind, "message": dict(one.body)}
    return {"type": kind, "error": wire_anthropic.error_body(one.problem, "")} if one.problem is not None else {"type": kind}


def _missing(what: str, name: str) -> Problem:
    return Problem(404, "invalid_request_error", f"No such {what}: {name[:100]}")


def _object(payload: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
