"""What a person sent in a form, read within bounds. Knows no form in particular."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from sealserve.errors import InvalidArgument
from sealserve.web.security import MAX_BODY_BYTES

_MAX_FIELDS = 20


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form; of one sent twice the last. Raises: InvalidArgument (TOO_LARGE; not a form)."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            text = f"the form is larger than {MAX_BODY_BYTES} bytes; nothing was done"
            raise InvalidArgument(text, field="form", reason="TOO_LARGE")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:  # UnicodeDecodeError among them
        raise InvalidArgument("this is not a form of this page; nothing was done", field="form") from error
    return {name: value.replace("\r\n", "\n") for name, value in pairs}
