"""Structured concurrency: runs coroutines together, enters blocking contexts, and unwraps groups of errors."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results of `work` in order. If one fails, the others are cancelled. Raises: the first failure."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in work]
    except BaseExceptionGroup as failures:
        raise first_of(failures) from None
    return [task.result() for task in tasks]


@asynccontextmanager
async def in_thread(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager that blocks, each in a thread, and give what it gives."""
    stack = ExitStack()
    value = await asyncio.to_thread(stack.enter_context, context)
    try:
        yield value
    finally:
        await asyncio.to_thread(stack.close)


def first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first single error in a group of groups."""
    first: BaseException = failures
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
