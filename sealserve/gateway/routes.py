"""The routes of the OpenAI-compatible API, as an ASGI application."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from sealserve import errors
from sealserve.concurrency import together
from sealserve.engine.engine import Engine
from sealserve.gateway.bodies import Body, ChatBody, CompletionBody, FeedbackBody, read_body
from sealserve.gateway.body_questions import chat_question, completion_questions, model_of
from sealserve.gateway.entrance import Entrance, unless_gone
from sealserve.gateway.replies import Shape, answer_headers, dump, error_tree, model_tree, models_tree
from sealserve.gateway.stream import AnswerStream, require_whole
from sealserve.records.feedback import Opinion, Thumb
from sealserve.records.reports import Answer, Answering, Model
from sealserve.registry.registry import Registry
from sealserve.rpc.authorisation.access import Access, require_seen
from sealserve.rpc.call_context import CURRENT_CALL, CURRENT_PRINCIPAL, actor
from sealserve.rpc.conversations import Conversations, Question
from sealserve.rpc.models import Models
from sealserve.serving.answers import Answers

JSON = "application/json"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
NOT_HERE = ("embeddings", "responses", "images", "audio", "files", "fine_tuning", "batches", "moderations",
            "assistants", "threads", "vector_stores", "uploads", "realtime", "rerank", "score", "pooling")  # fmt: skip
"""First parts of OpenAI's and vLLM's paths that this server does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayParts:
    """What the routes use. `is_serving` says whether answers can be given; `metrics` renders them for Prometheus."""

    access: Access
    answers: Answers
    engine: Engine
    registry: Registry
    is_serving: Callable[[], bool]
    metrics: Callable[[], bytes]
    max_bytes: int
    deadline_seconds: float


def make_gateway(parts: GatewayParts, *, more: Sequence[BaseRoute] = ()) -> ASGIApp:
    """Return the API; `more` routes stand beside its own."""
    entrance = Entrance(parts.access, default_deadline_seconds=parts.deadline_seconds, max_bytes=parts.max_bytes)
    answering = _Answering(parts, entrance)
    tenants = _Tenants(parts, entrance)
    site = _Site(parts, entrance)
    routes: list[BaseRoute] = [
        Route("/v1/chat/completions", answering.chat, methods=["POST"]),
        Route("/v1/completions", answering.completion, methods=["POST"]),
        Route("/v1/models", entrance.guarded("InferenceService/ListModels", tenants.models), methods=["GET"]),
        Route("/v1/models/{model:path}", entrance.guarded("InferenceService/ListModels", tenants.model)),
        Route("/v1/feedback", entrance.guarded("FeedbackService/CreateFeedback", tenants.feedback), methods=["POST"]),
        Route("/health", site.health, methods=["GET"]),
        Route("/metrics", entrance.guarded("Metrics/Read", site.metrics), methods=["GET"]),
        *more,
    ]
    handlers = {HTTPException: site.no_route, 500: site.broken}
    return Starlette(routes=routes, exception_handlers=handlers)


class _Answering:
    """Chats and completions, whole or streamed."""

    def __init__(self, parts: GatewayParts, entrance: Entrance) -> None:
        self._conversations = Conversations(parts.answers, parts.engine)
        self._entrance = entrance
        self._max_bytes = parts.max_bytes
        self.chat = entrance.guarded("InferenceService/Generate", self._chat, prefix="chatcmpl-")
        self.completion = entrance.guarded("InferenceService/Generate", self._completion, prefix="cmpl-")

    async def _chat(self, request: Request) -> Response:
        body: ChatBody = read_body(await self._entrance.body(request), ChatBody)
        question = chat_question(body, request.headers, max_bytes=self._max_bytes)
        return await self._answer((question,), request, body, is_chat=True)

    async def _completion(self, request: Request) -> Response:
        body: CompletionBody = read_body(await self._entrance.body(request), CompletionBody)
        questions = completion_questions(body, request.headers, max_bytes=self._max_bytes)
        return await self._answer(questions, request, body, is_chat=False)

    async def _answer(
        self, questions: tuple[Question, ...], request: Request, body: Body, *, is_chat: bool
    ) -> Response:
        shape = Shape(is_chat=is_chat, model=body.model, request_id=CURRENT_CALL.get().request_id)
        if body.stream:
            return await self._stream(questions[0], request, body, shape=shape)
        work = together(self._whole(number, question) for number, question in enumerate(questions))
        answers = await unless_gone(request.receive, work)
        return Response(shape.whole(answers), headers=answer_headers(answers[0].answering), media_type=JSON)

    async def _whole(self, number: int, question: Question) -> Answer:
        if number:
            call = CURRENT_CALL.get()
            CURRENT_CALL.set(replace(call, request_id=f"{call.request_id}-{number}"))
        answer = await self._conversations.answer(question)
        for choice in answer.choices:
            require_whole(choice.finish)
        return answer

    async def _stream(self, question: Question, request: Request, body: Body, *, shape: Shape) -> Response:
        events = self._conversations.events(question)
        try:
            first = await unless_gone(request.receive, anext(events))
        except BaseException:
            await events.aclose()
            raise
        if not isinstance(first, Answering):
            raise errors.EngineFailed("the engine ended without an answer")
        return AnswerStream(
            first,
            events,
            shape=shape,
            n=question.sampling.n,
            with_usage=body.stream_options.include_usage,
            tell=lambda error: self._entrance.told(error, method="InferenceService/StreamGenerate"),
        )


class _Tenants:
    """Models and feedback."""

    def __init__(self, parts: GatewayParts, entrance: Entrance) -> None:
        self._models = Models(parts.registry)
        self._registry = parts.registry
        self._entrance = entrance

    async def models(self, request: Request) -> Response:
        """List what the caller can ask for."""
        found = await self._models.of_tenants(CURRENT_PRINCIPAL.get().tenants)
        return Response(dump(models_tree(found)), media_type=JSON)

    async def model(self, request: Request) -> Response:
        """Show one model."""
        named = model_of(request.path_params["model"])
        models, _ = await self._models.of_tenant(named.tenant)
        for each in models:
            if each.version == named.version:
                return Response(dump(model_tree(each)), media_type=JSON)
        raise errors.NotFound(Model(tenant=named.tenant, version=named.version, active=False).id, kind="model")

    async def feedback(self, request: Request) -> Response:
        """Store feedback on an answer."""
        body: FeedbackBody = read_body(await self._entrance.body(request), FeedbackBody)
        tenant, version = await self._answered_by(body)
        opinion = Opinion(
            answer_request=body.response_id,
            version=version,
            thumb=Thumb(body.thumb),
            question=body.question,
            answer=body.answer,
            correction=body.correction,
        )
        kept = await asyncio.to_thread(self._registry.feedback.add, tenant, opinion, actor=actor())
        model = Model(tenant=tenant, version=version, active=False).id
        tree = {"id": kept.feedback, "object": "feedback", "response_id": body.response_id, "model": model}
        return Response(dump(tree), media_type=JSON)

    async def _answered_by(self, body: FeedbackBody) -> tuple[str, int]:
        named = model_of(body.model) if body.model else None
        if named is not None and named.version is not None:
            return named.tenant, named.version
        given = await asyncio.to_thread(self._registry.answers.get, body.response_id)
        try:
            require_seen(given.tenant)
        except errors.NotFound as hidden:
            raise errors.NotFound(body.response_id, kind="answer") from hidden
        if named is not None and named.tenant != given.tenant:
            raise errors.NotFound(body.response_id, kind="answer")
        return given.tenant, given.version


class _Site:
    """Routes that need no tenant."""

    def __init__(self, parts: GatewayParts, entrance: Entrance) -> None:
        self._is_serving = parts.is_serving
        self._metrics = parts.metrics
        self._entrance = entrance

    async def health(self, request: Request) -> Response:
        """Say whether answers can be given now: 200 or 503."""
        is_serving = self._is_serving()
        tree = {"status": "serving" if is_serving else "not serving"}
        return Response(dump(tree), 200 if is_serving else 503, media_type=JSON)

    async def metrics(self, request: Request) -> Response:
        """Render the metrics for Prometheus."""
        return Response(await asyncio.to_thread(self._metrics), headers={"content-type": PROMETHEUS})

    async def no_route(self, request: Request, error: Exception) -> Response:
        """Answer requests for unknown paths and methods."""
        status = getattr(error, "status_code", 404)
        part = request.url.path.removeprefix("/v1/").partition("/")[0]
        if status == 405:
            message = "This method is not supported here."
        elif part in NOT_HERE:
            message = f"This server has no /v1/{part}: it answers chats and completions."
        else:
            message = "There is nothing under this path."
        tree = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": "unknown_url"}}
        return Response(dump(tree), status, getattr(error, "headers", None), media_type=JSON)

    async def broken(self, request: Request, error: Exception) -> Response:
        """Answer an unexpected error; only the log has its details."""
        return Response(dump(error_tree(errors.OurError("something broke in the server"))), 500, media_type=JSON)
