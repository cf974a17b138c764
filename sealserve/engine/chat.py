"""Turn a conversation into token ids with the model's own chat template.

The one place that knows how a prompt ends and a completion is closed, for generation and for scoring alike. Imports
transformers only when a model is opened.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from sealserve.errors import BadConfig, InvalidArgument
from sealserve.records.inference import ChatTurn

ROLES = ("system", "user", "assistant")
PROMPT = "prompt"
"""The role of a turn that stands alone: its text is continued as it is."""

PLAIN_TEMPLATE = (
    "{% if bos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
"""For models that bring no chat template of their own."""

DATE_SHOWN = datetime(2024, 7, 26)
"""What templates that print today's date print: training and scoring would differ from one day to the next.

The date that Llama 3's own template takes where it is told none.
"""

_MARK = "Xyzzy"  # stands for an answer while the template is asked what follows one
_OFF_LOOP_CHARACTERS = 20_000  # longer conversations are tokenised in a thread
_THREADS = 2  # of their own: whoever sends long conversations keeps nobody from the registry


class Chat:
    """One model's tokenizer and chat template. `longest_entry` of its vocabulary is in characters.

    Where the entries are bytes, each is spelled with a character for each byte: never fewer than it stands for.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
        self._control_tokens = tuple(token for token in {*tokenizer.all_special_tokens, *added} if len(token) > 1)
        self.end_of_turn = _end_of_turn(tokenizer, self._control_tokens)
        self.longest_entry = max(map(len, tokenizer.get_vocab()))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tokenise")

    @classmethod
    def open(cls, directory: Path) -> "Chat":
        """Read the tokenizer in `directory`; never fetches anything and never runs code found there.

        Raises: BadConfig (no tokenizer there that can be read).
        """
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise BadConfig(f"engine.model: {directory} holds no tokenizer that can be read") from error
        if not tokenizer.chat_template:
            tokenizer.chat_template = PLAIN_TEMPLATE
        return cls(tokenizer)

    async def prompt_ids(self, turns: tuple[ChatTurn, ...]) -> list[int]:
        """Return the ids of the conversation, up to where the assistant's answer begins.

        A long one is not begun once its caller has gone. Raises: InvalidArgument (no turns, unknown role, or a
        template that refuses the conversation).
        """
        check_turns(turns)
        encode = self._encode if turns[0].role == PROMPT else self._template
        if sum(len(turn.content) for turn in turns) > _OFF_LOOP_CHARACTERS:
            return await asyncio.get_running_loop().run_in_executor(self._threads, encode, turns)
        return encode(turns)

    def completion_ids(self, text: str) -> list[int]:
        """Return the ids of an answer, closed by the end-of-turn token if the model has one."""
        ids: list[int] = self._tokenizer.encode(self._defused(text), add_special_tokens=False)
        return ids if self.end_of_turn is None else [*ids, self.end_of_turn]

    def close(self) -> None:
        """Begin no more long conversations."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _encode(self, turns: tuple[ChatTurn, ...]) -> list[int]:
        """Whoever sends a bare prompt writes all of it: control tokens are his to use."""
        ids: list[int] = self._tokenizer.encode(turns[0].content)
        if not ids:
            raise InvalidArgument("the prompt makes no token", field="prompt")
        return ids

    def _template(self, turns: tuple[ChatTurn, ...]) -> list[int]:
        from jinja2.exceptions import TemplateError

        messages = [{"role": turn.role, "content": self._defused(turn.content)} for turn in turns]
        try:
            ids: list[int] = self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=True, return_dict=False, enable_thinking=False,
                strftime_now=DATE_SHOWN.strftime,
            )  # fmt: skip
        except TemplateError as error:
            raise InvalidArgument(
                "this model's chat template refuses these roles or their order", field="messages"
            ) from error
        return ids

    def _defused(self, text: str) -> str:
        """Content is data: a control token spelled out in it must not open or close a turn."""
        for token in self._control_tokens:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def _end_of_turn(tokenizer: Any, control_tokens: tuple[str, ...]) -> int | None:
    """Return the id that closes an answer in this template; the end-of-sequence id where the template closes none.

    They differ in some families: Gemma's turns end with <end_of_turn> and Phi's with <|end|>, not with the tokenizer's
    own end of sequence (https://github.com/huggingface/transformers/issues/38182).
    """
    from jinja2.exceptions import TemplateError

    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": _MARK}]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False, enable_thinking=False))
    except TemplateError:
        return tokenizer.eos_token_id  # type: ignore[no-any-return]
    after = text.rpartition(_MARK)[2].lstrip()
    closing = max((token for token in control_tokens if after.startswith(token)), key=len, default=None)
    return tokenizer.eos_token_id if closing is None else tokenizer.convert_tokens_to_ids(closing)  # type: ignore[no-any-return]


def require_fitting(turns: tuple[ChatTurn, ...], *, max_characters: int, completion: str = "") -> None:
    """Return unless the conversation is too long for whatever tokens it makes; 0 characters: nothing is known.

    Counting characters is cheap where tokenising is not. Raises: InvalidArgument (PROMPT_TOO_LONG).
    """
    characters = sum(len(turn.content) for turn in turns) + len(completion)
    if 0 < max_characters < characters:
        text = f"the conversation has {characters} characters; this model's context holds at most {max_characters}"
        raise InvalidArgument(text, field="messages", reason="PROMPT_TOO_LONG")


def check_turns(turns: tuple[ChatTurn, ...]) -> None:
    """Return if the conversation has turns of known roles. Raises: InvalidArgument."""
    if not turns:
        raise InvalidArgument("a conversation needs at least one message", field="messages")
    if len(turns) == 1 and turns[0].role == PROMPT:
        return
    for turn in turns:
        if turn.role not in ROLES:
            raise InvalidArgument(f"role {turn.role!r} is not one of {', '.join(ROLES)}", field="messages.role")
