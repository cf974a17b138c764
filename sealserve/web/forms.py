"""Reads submitted forms within size limits."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from sealserve.errors import InvalidArgument
from sealserve.web.security import MAX_BODY_BYTES

_MAX_FIELDS = 20


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form; a repeated field keeps its last value.

    Raises: InvalidArgument (TOO_LARGE, or not a form).
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            text = f"the form is larger than {MAX_BODY_BYTES} bytes; nothing was changed"
            raise InvalidArgument(text, field="form", reason="TOO_LARGE")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:  # UnicodeDecodeError among them
        raise InvalidArgument("this is not a form of this page; nothing was changed", field="form") from error
    return {name: value.replace("\r\n", "\n") for name, value in pairs}
