"""Cuts a reasoning model's thoughts from the front of its answer. Pure.

The marks are those of vllm/reasoning and vllm/parser (0.32) and of the models' cards. Marks that are special tokens
of the tokenizer seldom get here: the engine leaves such tokens out of the text.
"""

_CLOSED_BY = {
    "<think>": "</think>",  # DeepSeek R1, Qwen3, SmolLM3, GLM, MiniMax, Nemotron
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",  # Seed-OSS
    "<mm:think>": "</mm:think>",  # MiniMax M3
    "[think]": "[/think]",  # Magistral
    "<|think|>": "<|/think|>",
    "◁think▷": "◁/think▷",  # Kimi
    "<|start_thinking|>": "<|end_thinking|>",  # Command A
    "<|begin_of_thought|>": "<|end_of_thought|>",  # OpenThinker, Sky-T1
    "<|channel>thought": "<channel|>",  # Gemma 4
    "<|channel|>analysis<|message|>": "<|channel|>final<|message|>",  # gpt-oss
}
_OPENED_BY_TEMPLATE = ("</think>", "</thinking>", "</seed:think>", "<|end_of_thought|>")
"""Their opening mark may stand in the prompt, put there by the chat template: the answer begins inside the thoughts."""


def without_thoughts(text: str) -> str | None:
    """Return the answer that follows the thoughts `text` begins with; None if they never end.

    Text that begins with no thoughts is returned as it is. Marks are read in any case of letters.
    """
    lowered = text.lower() if text.isascii() else "".join(map(_lowered, text))
    begin = len(lowered) - len(lowered.lstrip())
    opened = next((mark for mark in _CLOSED_BY if lowered.startswith(mark, begin)), None)
    if opened is not None:
        return _after(text, lowered, _CLOSED_BY[opened], begin=begin + len(opened))
    unopened = next((mark for mark in _OPENED_BY_TEMPLATE if mark in lowered), None)
    if unopened is None or _opening(unopened) in lowered:
        return text
    return _after(text, lowered, unopened, begin=0)


def _after(text: str, lowered: str, mark: str, *, begin: int) -> str | None:
    place = lowered.find(mark, begin)
    return None if place < 0 else text[place + len(mark) :].lstrip()


def _opening(closing: str) -> str:
    return next(opening for opening, mark in _CLOSED_BY.items() if mark == closing)


def _lowered(character: str) -> str:
    """Lower case that never changes the length: "İ" has a lower case of two characters."""
    lower = character.lower()
    return lower if len(lower) == 1 else character
