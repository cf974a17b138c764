"""Turns request bodies into questions for a tenant's adapter, and names of models into tenants and versions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealserve.engine.chat import PROMPT
from sealserve.errors import InvalidArgument, NotFound
from sealserve.gateway.bodies import Body, ChatBody, CompletionBody, ResponseFormat
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.principals import Principal
from sealserve.records.sampling import check_sampling
from sealserve.records.versions import BASE_VERSION
from sealserve.rpc.authorisation.access import require_seen
from sealserve.rpc.call_context import CURRENT_PRINCIPAL
from sealserve.rpc.conversations import Question
from sealserve.wire import names
from sealserve.wire.engine import checked_turns

UNBOUNDED_TOKENS = 2**20
"""Without a limit in the request an answer may fill the context, whose length the engine knows."""

ANY_OBJECT = '{"type": "object"}'
MAX_LEGACY_LOGPROBS = 5
STICKY_HEADER = "x-sealserve-sticky-key"
ACTIVATION_HEADER = "x-sealserve-min-activation"
_MAX_ACTIVATION = 2**62
_FIELDS = {"json_schema": "response_format", "choice": "structured_outputs", "regex": "structured_outputs",
           "grammar": "structured_outputs"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """The tenant and version that a model name stands for; version None: whichever answers the tenant now."""

    tenant: str
    version: int | None


def model_of(name: str) -> NamedModel:
    """Return what `name` stands for: acme, acme@v3, acme@base; base, where the token is bound to one tenant.

    Raises: NotFound (no such name, or a tenant that the caller may not know of).
    """
    own = _only_tenant(CURRENT_PRINCIPAL.get())
    if name == names.BASE and own not in (None, names.BASE):
        return NamedModel(tenant=str(own), version=BASE_VERSION)
    found = names.model_of(name)
    if found is None:
        raise NotFound(name[:128], kind="model")
    tenant, version = found
    require_seen(tenant)
    return NamedModel(tenant=tenant, version=version)


def chat_question(body: ChatBody, headers: Mapping[str, str], *, max_bytes: int) -> Question:
    """Return what a chat asks. Raises: InvalidArgument, NotFound (model)."""
    model = model_of(body.model)
    turns = (
        ChatTurn(role="system" if message.role == "developer" else message.role, content=message.text)
        for message in body.messages
    )
    if body.top_logprobs and not body.logprobs:
        raise InvalidArgument("top_logprobs needs logprobs", field="top_logprobs")
    return Question(
        tenant=model.tenant,
        version=model.version,
        turns=checked_turns(turns, max_bytes=max_bytes),
        sampling=_sampling(
            body,
            most=body.max_completion_tokens or body.max_tokens,
            logprobs=body.top_logprobs if body.logprobs else None,
        ),
        **_routing(body, headers),
    )


def completion_questions(body: CompletionBody, headers: Mapping[str, str], *, max_bytes: int) -> tuple[Question, ...]:
    """Return what each prompt asks. Raises: InvalidArgument, NotFound (model)."""
    model = model_of(body.model)
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    if not all(prompts):
        raise InvalidArgument("prompt is empty", field="prompt")
    if sum(len(prompt.encode()) for prompt in prompts) > max_bytes:
        raise InvalidArgument(f"the prompt is larger than {max_bytes} bytes", field="prompt", reason="TOO_LARGE")
    if body.stream and len(prompts) > 1:
        raise InvalidArgument("several prompts are not answered as a stream", field="prompt")
    if body.logprobs is not None and not 0 <= body.logprobs <= MAX_LEGACY_LOGPROBS:
        raise InvalidArgument(f"logprobs is 0 to {MAX_LEGACY_LOGPROBS}", field="logprobs")
    sampling = _sampling(body, most=body.max_tokens, logprobs=body.logprobs)
    return tuple(
        Question(
            tenant=model.tenant,
            version=model.version,
            turns=(ChatTurn(role=PROMPT, content=prompt),),
            sampling=sampling,
            **_routing(body, headers),
        )
        for prompt in prompts
    )


def _only_tenant(principal: Principal) -> str | None:
    return principal.tenants[0] if principal.tenants is not None and len(principal.tenants) == 1 else None


def _routing(body: Body, headers: Mapping[str, str]) -> dict[str, Any]:
    given = headers.get(ACTIVATION_HEADER, "0")
    if not (given.isascii() and given.isdigit() and len(given) < 19 and int(given) < _MAX_ACTIVATION):
        raise InvalidArgument(f"{ACTIVATION_HEADER} is no number", field=ACTIVATION_HEADER)
    return {"min_activation": int(given), "sticky_key": headers.get(STICKY_HEADER) or body.user}


def _sampling(body: Body, *, most: int | None, logprobs: int | None) -> Sampling:
    sampling = Sampling(
        max_tokens=UNBOUNDED_TOKENS if most is None else most,
        temperature=body.temperature,
        top_p=body.top_p,
        n=body.n,
        seed=body.seed,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop),
        top_k=max(0, body.top_k) if body.top_k == -1 else body.top_k,
        min_p=body.min_p,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        repetition_penalty=body.repetition_penalty,
        min_tokens=_least(body, most),
        stop_token_ids=tuple(body.stop_token_ids),
        logit_bias=tuple(sorted((_token_id(token), bias) for token, bias in body.logit_bias.items())),
        logprobs=logprobs,
        **_constraint(body),
    )
    try:
        check_sampling(sampling)
    except InvalidArgument as error:
        field = _FIELDS.get(error.field, error.field)
        raise InvalidArgument(error.message, field=field, reason=error.reason) from error
    return sampling


def _least(body: Body, most: int | None) -> int:
    if not body.ignore_eos:
        return body.min_tokens
    if most is None:
        raise InvalidArgument("ignore_eos needs max_tokens", field="ignore_eos")
    return most


def _token_id(token: str) -> int:
    if not (token.isascii() and token.isdigit() and len(token) < 12):
        raise InvalidArgument("the keys of logit_bias are token ids", field="logit_bias")
    return int(token)


def _constraint(body: Body) -> dict[str, Any]:
    wanted = body.structured_outputs
    found = {
        "choice": tuple(wanted.choice or ()),
        "regex": wanted.regex or "",
        "grammar": wanted.grammar or "",
        "json_schema": wanted.json_ if isinstance(wanted.json_, str) else _text(wanted.json_),
    }
    if body.response_format is not None and body.response_format.type != "text":
        if found["json_schema"]:
            raise InvalidArgument("response_format and structured_outputs both ask for JSON", field="response_format")
        found["json_schema"] = _schema(body.response_format)
    return found


def _schema(wanted: ResponseFormat) -> str:
    if wanted.type == "json_object":
        return ANY_OBJECT
    if wanted.json_schema is None:
        raise InvalidArgument("response_format.json_schema is missing", field="response_format")
    return _text(wanted.json_schema.json_schema)


def _text(schema: dict[str, Any] | None) -> str:
    return "" if schema is None else json.dumps(schema)
