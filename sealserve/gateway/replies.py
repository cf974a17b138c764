"""Renders answers and errors as OpenAI's JSON."""

import json
import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

from sealserve import errors
from sealserve.canonical import Json
from sealserve.records.inference import FinishReason, TokenLogprob
from sealserve.records.reports import Answer, Answering, Choice, Model, Piece, Usage, model_id
from sealserve.wire.http_statuses import status_of
from sealserve.wire.statuses import shown_message

MODEL_HEADER = "x-sealserve-model"
ACTIVATION_HEADER = "x-sealserve-activation"
REQUEST_ID_HEADER = "x-request-id"
_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
          413: "invalid_request_error", 429: "rate_limit_error"}  # fmt: skip
_CODES = {"PROMPT_TOO_LONG": "context_length_exceeded", "TOKEN_MISSING": "invalid_api_key",
          "QUOTA_EXCEEDED": "rate_limit_exceeded", "UNAUTHENTICATED": "invalid_api_key"}  # fmt: skip
STORAGE_RETRY_SECONDS = 1.0


def dump(tree: Any) -> bytes:
    """Return `tree` as JSON in UTF-8."""
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def error_tree(error: errors.SealserveError) -> Json:
    """Return the body of an error response."""
    status = status_of(error)
    message, code = shown_message(error), _CODES.get(error.reason, error.reason.lower())
    if isinstance(error, errors.NotFound) and error.kind in ("tenant", "model"):
        name = error.resource.removeprefix("tenants/")
        message, code = f"The model '{name}' does not exist or you do not have access to it.", "model_not_found"
    param = error.field.removeprefix("sampling.") if isinstance(error, errors.InvalidArgument) else ""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param or None, "code": code}}


def error_headers(error: errors.SealserveError) -> dict[str, str]:
    """Return the headers that belong to `error`: when to try again."""
    seconds = getattr(error, "retry_seconds", None)
    if isinstance(error, errors.StorageFailed):
        seconds = STORAGE_RETRY_SECONDS
    return {} if seconds is None else {"retry-after": str(max(1, math.ceil(seconds)))}


def fingerprint(answering: Answering) -> str:
    """Return the fingerprint of the weights: version and base model."""
    return f"{model_id(answering.tenant, answering.version)}-{answering.base_digest[:12]}"


def answer_headers(answering: Answering) -> dict[str, str]:
    """Return the headers that name who answers."""
    return {
        MODEL_HEADER: model_id(answering.tenant, answering.version),
        ACTIVATION_HEADER: str(answering.activation),
    }


def usage_tree(usages: Iterable[Usage]) -> Json:
    """Return the usage of all answers together."""
    found = tuple(usages)
    prompt = sum(usage.prompt_tokens for usage in found)
    completion = sum(usage.completion_tokens for usage in found)
    cached = sum(usage.cached_tokens for usage in found)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def models_tree(models: Iterable[Model]) -> Json:
    """Return a list of models."""
    return {"object": "list", "data": [model_tree(model) for model in models]}


def model_tree(model: Model) -> Json:
    """Return one model."""
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.tenant}


class Shape:
    """The form of the answers to one request: a chat or a completion."""

    def __init__(self, *, is_chat: bool, model: str, request_id: str) -> None:
        self._is_chat = is_chat
        self._about = {"id": request_id, "created": int(time.time()), "model": model}
        self._offsets: dict[int, int] = {}

    def whole(self, answers: Sequence[Answer]) -> bytes:
        """Return whole answers: one to a chat, one or more to prompts."""
        n = len(answers[0].choices)
        choices = [
            self._choice(choice, index=place * n + choice.index)
            for place, answer in enumerate(answers)
            for choice in answer.choices
        ]
        return dump(
            {
                **self._about,
                "object": "chat.completion" if self._is_chat else "text_completion",
                "system_fingerprint": fingerprint(answers[0].answering),
                "choices": choices,
                "usage": usage_tree(answer.usage for answer in answers),
            }
        )

    def begin(self, answering: Answering) -> None:
        """Record who answers; called before the first chunk."""
        self._about |= {
            "object": "chat.completion.chunk" if self._is_chat else "text_completion",
            "system_fingerprint": fingerprint(answering),
        }

    def opening(self, n: int) -> list[bytes]:
        """Return the opening chunks, which carry the role; a completion has none."""
        if not self._is_chat:
            return []
        delta = {"role": "assistant", "content": ""}
        return [self._chunk({"index": index, "delta": delta, "finish_reason": None}) for index in range(n)]

    def piece(self, piece: Piece) -> bytes:
        """Return some more text."""
        finish = None if piece.finish is None else _finish(piece.finish)
        logprobs = self._logprobs(piece.logprobs, index=piece.index)
        if self._is_chat:
            choice: Json = {"index": piece.index, "delta": {"content": piece.text}, "finish_reason": finish}
        else:
            choice = {"index": piece.index, "text": piece.text, "finish_reason": finish}
        return self._chunk({**choice, "logprobs": logprobs})

    def end(self, index: int, finish: FinishReason) -> bytes:
        """Return the chunk with the finish reason."""
        text: Json = {"delta": {}} if self._is_chat else {"text": ""}
        return self._chunk({"index": index, **text, "logprobs": None, "finish_reason": _finish(finish)})

    def usage(self, usage: Usage) -> bytes:
        """Return the last chunk, with the usage."""
        return dump({**self._about, "choices": [], "usage": usage_tree([usage])})

    def _chunk(self, choice: Json) -> bytes:
        return dump({**self._about, "choices": [choice]})

    def _choice(self, choice: Choice, *, index: int) -> Json:
        text: Json = (
            {"message": {"role": "assistant", "content": choice.text, "refusal": None}}
            if self._is_chat
            else {"text": choice.text}
        )
        logprobs = self._logprobs(choice.logprobs, index=index)
        return {"index": index, **text, "logprobs": logprobs, "finish_reason": _finish(choice.finish)}

    def _logprobs(self, tokens: Sequence[TokenLogprob], *, index: int) -> Json | None:
        if not tokens:
            return None
        if self._is_chat:
            return {"content": [_chat_token(each) for each in tokens], "refusal": None}
        offset = self._offsets.get(index, 0)
        offsets: list[int] = []
        for each in tokens:
            offsets.append(offset)
            offset += len(each.token)
        self._offsets[index] = offset
        return {
            "tokens": [each.token for each in tokens],
            "token_logprobs": [each.logprob for each in tokens],
            "top_logprobs": [dict(each.top) or {each.token: each.logprob} for each in tokens],
            "text_offset": offsets,
        }


def _chat_token(each: TokenLogprob) -> Json:
    top = [{"token": token, "logprob": logprob, "bytes": _bytes(token)} for token, logprob in each.top]
    return {"token": each.token, "logprob": each.logprob, "bytes": _bytes(each.token), "top_logprobs": top}


def _bytes(token: str) -> list[int]:
    return list(token.encode(errors="replace"))


def _finish(finish: FinishReason) -> str:
    return "length" if finish is FinishReason.LENGTH else "stop"
