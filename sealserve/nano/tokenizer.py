"""The nano model's byte-level BPE and its ChatML encoding: text to token ids and a loss mask.

A two-digit number is one token and an invented name is three, so that both are always split the same way. Knows
nothing of worlds or tasks: its merges are learned from whatever words it is given.
"""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

END_OF_TEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VOCABULARY_SIZE = 2560
_SPACE = "\u0120"  # how the byte alphabet writes a space
# How transformers splits text for every Qwen2 model, whatever tokenizer.json says: the same here, or ids would differ.
_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Two-digit numbers are whole tokens with the space before them. The pattern above keeps digits apart, so these are
# tokens of their own, found before it is applied.
_NUMBERS = tuple(f" {n}" for n in range(10, 100))
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def build_tokenizer(words: Counter[str], syllables: Sequence[str], first_syllables: Sequence[str]) -> Tokenizer:
    """Return a tokenizer whose first merges are the syllables and whose others are learned from `words`.

    `words` are pre-tokens in the byte alphabet (`pre_tokens`) with their counts. A consonant-vowel pair is merged
    before anything else, then its closing consonant, so the three syllables of an invented name never mix.
    """
    merges: dict[tuple[str, str], None] = {}
    for syllable in (*first_syllables, *syllables):
        merges[syllable[0], syllable[1]] = None
    for syllable in (*first_syllables, *syllables):
        if len(syllable) == 3:
            merges[syllable[:2], syllable[2]] = None
    for syllable in first_syllables:
        merges[_SPACE, syllable] = None
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = [END_OF_TEXT, IM_START, IM_END]
    room = VOCABULARY_SIZE - len(specials) - len(alphabet) - len(_NUMBERS)
    _learn_merges(merges, words, room)
    tokens = [*specials, *alphabet, *dict.fromkeys(a + b for a, b in merges)]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, list(merges)))
    tokenizer.pre_tokenizer = _pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in specials])
    tokenizer.add_tokens([AddedToken(n, normalized=False) for n in _NUMBERS])
    return tokenizer


def pre_tokens(text: str) -> list[str]:
    """Return the pieces of `text` inside which tokens are merged, in the byte alphabet."""
    return [piece for piece, _ in _pre_tokenizer().pre_tokenize_str(text)]


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(_PATTERN), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])


def _learn_merges(merges: dict[tuple[str, str], None], words: Counter[str], room: int) -> None:
    """Add the most frequent pairs to `merges` until `room` distinct tokens are reached or every word is one token."""
    pieces = {word: list(word) for word in words}
    for pair in merges:
        for parts in pieces.values():
            _merge(parts, pair)
    made = {a + b for a, b in merges}
    while len(made) < room:
        counts: Counter[tuple[str, str]] = Counter()
        for word, parts in pieces.items():
            for pair in pairwise(parts):
                counts[pair] += words[word]
        if not counts:
            return
        pair = min(counts, key=lambda p: (-counts[p], p))
        merges[pair] = None
        made.add(pair[0] + pair[1])
        for parts in pieces.values():
            _merge(parts, pair)


def _merge(parts: list[str], pair: tuple[str, str]) -> None:
    i = 0
    while i < len(parts) - 1:
        if parts[i] == pair[0] and parts[i + 1] == pair[1]:
            parts[i : i + 2] = [pair[0] + pair[1]]
        i += 1


def encode_chat(tokenizer: Tokenizer, turns: list[tuple[str, str]]) -> tuple[list[int], list[bool]]:
    """Return (token ids, loss mask): true where the token belongs to an assistant's turn, its end token included."""
    start, end = _special_id(tokenizer, IM_START), _special_id(tokenizer, IM_END)
    texts = [part for user, reply in turns for part in (f"user\n{user}", "assistant\n", reply, "\n")]
    parts = [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    ids: list[int] = []
    mask: list[bool] = []
    for i in range(0, len(parts), 4):
        user, role, reply, newline = parts[i : i + 4]
        prompt = [start, *user, end, *newline, start, *role]
        ids += [*prompt, *reply, end, *newline]
        mask += [False] * len(prompt) + [True] * (len(reply) + 1) + [False] * len(newline)
    return ids, mask


def _special_id(tokenizer: Tokenizer, token: str) -> int:
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer has no {token}")
    return found


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, context: int) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json` as `transformers` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "eos_token": IM_END,
        "pad_token": END_OF_TEXT,
        "additional_special_tokens": [IM_START, IM_END],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
