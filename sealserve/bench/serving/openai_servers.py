"""Two servers of OpenAI's API over one engine: ours, and vLLM's own beside it; and a reader that costs them little."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from sealserve.bench.harness.serving_site import Site
from sealserve.settings.listener import ListenerSettings
from sealserve.web.listener import HttpListener

MODEL = "base"
DRAIN_SECONDS = 1


class _Loopback(ListenerSettings):
    section = "bench"

    address: str = "127.0.0.1:0"


@asynccontextmanager
async def vllm_server(site: Site) -> AsyncIterator[str]:
    """Run vLLM's own server on this loop, over the engine of `site`, and give its URL."""
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state
    from vllm.entrypoints.launchers.app import build_app
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    llm: Any = site.supervised._engine._model.llm  # type: ignore[attr-defined]  # past every gate, for this alone
    options = [
        "--model",
        str(site.base),
        "--served-model-name",
        MODEL,
        "--disable-log-stats",
        "--generation-config",
        "vllm",
    ]
    args = make_arg_parser(FlexibleArgumentParser()).parse_args(options)
    tasks = await llm.get_supported_tasks()
    app = build_app(args, tasks, llm.model_config)
    await init_app_state(llm, app.state, args, tasks)
    listener = HttpListener(app, _Loopback(), drain_seconds=DRAIN_SECONDS)
    port = await listener.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await listener.stop()


async def read_stream(http: httpx.AsyncClient, url: str, body: dict[str, Any]) -> tuple[int, float]:
    """Ask for a stream and return its tokens, and the seconds to its first event that has text."""
    began, first, last = time.perf_counter(), 0.0, b""
    async with http.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        async for part in answer.aiter_raw():
            if not first and b'"content":"' in part.replace(b'"content":""', b""):
                first = time.perf_counter() - began
            last = (last + part)[-4096:]
    usage = json.loads(last.rpartition(b"data: [DONE]")[0].strip().rpartition(b"data: ")[2])
    return int(usage["usage"]["completion_tokens"]), first or time.perf_counter() - began
