"""Tiny tokenizers with the chat formats of well-known model families: what opens, closes and separates turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A chat format: its special tokens, its template, and which token closes an answer."""

    name: str
    special: Sequence[str]
    template: str
    eos: str
    closes: str
    bos: str | None = None


def _turns(opens: str, closes: str, *, separator: str = "\\n", prefix: str = "", last: str = "") -> str:
    """A template whose turns are `opens` (with role), the content, `closes`."""
    body = f"{{{{ '{opens}'.replace('ROLE', m['role']) + m['content'] + '{closes}{separator}' }}}}"
    prompt = f"{{{{ '{opens}'.replace('ROLE', 'assistant') + '{last}' }}}}"
    loop = "{% for m in messages %}" + body + "{% endfor %}"
    return prefix + loop + "{% if add_generation_prompt %}" + prompt + "{% endif %}"


_BOS = "{{ bos_token }}"
_THINKS = "{% if add_generation_prompt and enable_thinking is false %}"
_NO_THOUGHT = _THINKS + "{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"

FAMILIES = (
    Family(name="chatml", special=["<|im_start|>", "<|im_end|>"], eos="<|im_end|>", closes="<|im_end|>",
           template=_turns("<|im_start|>ROLE\\n", "<|im_end|>")),
    Family(name="qwen3", special=["<|im_start|>", "<|im_end|>", "<|endoftext|>"], eos="<|im_end|>", closes="<|im_end|>",
           template=_turns("<|im_start|>ROLE\\n", "<|im_end|>") + _NO_THOUGHT),
    Family(name="llama3", special=["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
           bos="<|begin_of_text|>", eos="<|eot_id|>", closes="<|eot_id|>",
           template=_turns("<|start_header_id|>ROLE<|end_header_id|>\\n\\n", "<|eot_id|>", separator="", prefix=_BOS)),
    Family(name="gemma", special=["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], bos="<bos>", eos="<eos>",
           closes="<end_of_turn>", template=_turns("<start_of_turn>ROLE\\n", "<end_of_turn>", prefix=_BOS)),
    Family(name="phi3", special=["<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"], eos="<|endoftext|>",
           closes="<|end|>", template=_turns("<|ROLE|>\\n", "<|end|>")),
    Family(name="mistral", special=["<s>", "</s>", "[INST]", "[/INST]"], bos="<s>", eos="</s>", closes="</s>",
           template=_BOS + "{% for m in messages %}{% if m['role'] == 'user' %}"
           "{{ '[INST] ' + m['content'] + ' [/INST]' }}"
           "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"),
    Family(name="zephyr", special=["<s>", "</s>"], bos="<s>", eos="</s>", closes="</s>",
           template=_turns("<|ROLE|>\\n", "</s>")),
    Family(name="granite", special=["<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"], eos="<|end_of_text|>",
           closes="<|end_of_text|>", template=_turns("<|start_of_role|>ROLE<|end_of_role|>", "<|end_of_text|>")),
    Family(name="command", special=["<BOS>", "<|START_OF_TURN|>", "<|END_OF_TURN|>", "<EOS>"], bos="<BOS>", eos="<EOS>",
           closes="<|END_OF_TURN|>",
           template=_turns("<|START_OF_TURN|>ROLE ", "<|END_OF_TURN|>", separator="", prefix=_BOS)),
    Family(name="glm4", special=["[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<|endoftext|>"], eos="<|endoftext|>",
           closes="<|endoftext|>", template=_turns("<|ROLE|>\\n", "", separator="", prefix="{{ '[gMASK]<sop>' }}")),
)  # fmt: skip


def tokenizer_of(family: Family) -> Any:
    """Return a tokenizer of single characters with the family's special tokens and template."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    alphabet = [chr(code) for code in range(32, 127)] + ["\n"]
    vocabulary = {token: place for place, token in enumerate(["<unk>", *alphabet])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", bos_token=family.bos, eos_token=family.eos
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [t for t in family.special if t != family.bos]})
    tokenizer.chat_template = family.template
    return tokenizer
