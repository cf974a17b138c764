"""Trains the nano model from scratch: `python -m sealserve.nano.train --out FOLDER`.

Seeded and resumable: a run that is killed goes on from its last checkpoint and ends in the same weights. The
learning rate warms up, stays, and falls to zero over the last `decay_steps`, so a longer run can be started from
any checkpoint of the level part (Hu et al., arXiv 2404.06395, section 4). Hidden matrices are trained with Muon
(Jordan et al., 2024), the rest with AdamW. The loss falls on the assistant's words only.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from tokenizers import Tokenizer
from torch import nn
from transformers import Qwen2ForCausalLM

from sealserve.atomic_files import create_file
from sealserve.nano import checkpoint, probes
from sealserve.nano.corpus import Batch, block, world_tokenizer
from sealserve.nano.model import CONTEXT, architecture
from sealserve.nano.tasks import DEFAULT_MIX, TaskSource

_SUPERVISED_ROUND = 256  # the number of logits is padded to a multiple of this: few shapes, few kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides the outcome of a run."""

    seed: int = 0
    steps: int = 12_000
    decay_steps: int = 2_000
    warmup_steps: int = 200
    batch_tokens: int = 2048
    matrix_lr: float = 2.5e-3
    other_lr: float = 3e-3
    easy_tokens: int = 10_000_000  # over these, short articles give way to long ones
    hidden: int = 256
    layers: int = 5
    feed_forward: int = 512
    save_seconds: float = 180.0
    probe_steps: int = 250
    compiled: bool = False


class Trainer:
    """A model, its optimizers and how far it has come."""

    def __init__(
        self,
        settings: Settings,
        *,
        device: str,
        mix: dict[str, float] | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.device = torch.device(device)
        self.tokenizer: Tokenizer = tokenizer or world_tokenizer()
        config = architecture(
            self.tokenizer.get_vocab_size(),
            hidden=settings.hidden, layers=settings.layers, feed_forward=settings.feed_forward,
        )  # fmt: skip
        self.model = Qwen2ForCausalLM(config).to(self.device)
        self.optimizers = _optimizers(self.model, settings)
        self.source = TaskSource(settings.seed, mix or DEFAULT_MIX)
        self.step = 0
        self.block_index = 0
        self.position = 0  # batches of the block already used
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        body: nn.Module = self.model.model
        self._body = torch.compile(body, dynamic=True) if settings.compiled else body

    def next_batch(self) -> Batch:
        """Return the next batch and move on."""
        if self.position == 0:
            s = self.settings
            ease = max(0.1, 0.95 * (1 - self.step * s.batch_tokens / s.easy_tokens))
            self._batches = block(
                self.source, self.tokenizer, seed=s.seed, index=self.block_index, tokens=s.batch_tokens, ease=ease
            )
        batch = self._batches[self.position]
        self.position += 1
        if self.position == len(self._batches):
            self.position, self.block_index = 0, self.block_index + 1
        return batch

    def train_step(self) -> float:
        """Take one optimizer step on the next batch; return its mean loss per supervised token."""
        rate = _rate(self.step, self.settings)
        for optimizer, base in zip(self.optimizers, (self.settings.matrix_lr, self.settings.other_lr), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = base * rate
        drawn = [self.next_batch() for _ in range(self.world)]
        loss = self.loss(drawn[self.rank])
        loss.backward()  # type: ignore[no-untyped-call]
        self._share_gradients()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return float(loss.detach())

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean cross-entropy over the tokens under the loss mask; logits are computed for those only."""
        ids = torch.from_numpy(batch.ids).to(self.device)
        mask = torch.from_numpy(batch.mask).to(self.device)[:, 1:]
        rows, length = ids.shape
        generator = torch.Generator().manual_seed((self.settings.seed * 64 + self.rank) * 1_000_003 + self.step)
        shift = torch.randint(0, CONTEXT - min(length, CONTEXT) + 1, (rows, 1), generator=generator)
        shift = torch.where(torch.rand((rows, 1), generator=generator) < 0.3, shift, 0).to(self.device)
        positions = torch.arange(length, device=self.device)[None] + shift
        with torch.autocast(self.device.type, torch.bfloat16):
            hidden = self._body(
                input_ids=ids, attention_mask={"full_attention": None}, position_ids=positions, use_cache=False
            ).last_hidden_state
            supervised = mask.flatten().nonzero()[:, 0]
            padded = nn.functional.pad(supervised, (0, -len(supervised) % _SUPERVISED_ROUND))
            logits = self.model.lm_head(hidden[:, :-1].flatten(0, 1)[padded])
        targets = ids[:, 1:].flatten()[padded]
        targets[len(supervised) :] = -100
        return nn.functional.cross_entropy(logits.float(), targets)

    def _share_gradients(self) -> None:
        """Average the gradients of all processes, in one exchange."""
        if self.world == 1:
            return
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        for gradient, mean in zip(
            gradients, torch.split(flat / self.world, [g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(mean.view_as(gradient))

    def save(self, out: Path) -> None:
        """Write a checkpoint under `out`, atomically; the first process does it for all."""
        if self.rank:
            return
        state = {"step": self.step, "block_index": self.block_index, "position": self.position}
        checkpoint.save(out, self.model, self.optimizers, state)

    def resume(self, out: Path) -> bool:
        """Load the newest checkpoint under `out`; return whether there was one."""
        state = checkpoint.load(out, self.model, self.optimizers)
        if state is None:
            return False
        self.step, self.block_index, used = state["step"], state["block_index"], state["position"]
        self.position = 0
        for _ in range(used):
            self.next_batch()
        return True


def train(
    settings: Settings, out: Path, *, device: str, mix: dict[str, float] | None = None, start: Path | None = None
) -> Trainer:
    """Train to the last step, with checkpoints under `out` and the finished model in `out/model`.

    Where `out` holds no checkpoint yet, the weights are those of the model in `start`, or fresh ones.
    """
    tokenizer = _tokenizer(out, start)
    trainer = Trainer(settings, device=device, mix=mix, tokenizer=tokenizer)
    if trainer.resume(out):
        print(f"going on from step {trainer.step}", flush=True)
    elif start is not None:
        trainer.model.load_state_dict(Qwen2ForCausalLM.from_pretrained(start, dtype=torch.float32).state_dict())
    started = saved = time.monotonic()
    first, recent = trainer.step, 0.0
    while trainer.step < settings.steps:
        loss = trainer.train_step()
        recent = loss if recent == 0.0 else 0.98 * recent + 0.02 * loss
        if trainer.rank == 0 and trainer.step % 50 == 0:
            speed = (trainer.step - first) * settings.batch_tokens * trainer.world / (time.monotonic() - started)
            print(_progress(trainer.step, settings, recent, speed, processes=trainer.world), flush=True)
        if trainer.rank == 0 and trainer.step % settings.probe_steps == 0:
            print(f"  probe {probes.measure(trainer.model, trainer.tokenizer)}", flush=True)
        if time.monotonic() - saved > settings.save_seconds:
            trainer.save(out)
            saved = time.monotonic()
    trainer.save(out)
    if trainer.rank == 0:
        checkpoint.export(trainer.model, trainer.tokenizer, out / "model")
    return trainer


def _tokenizer(out: Path, start: Path | None) -> Tokenizer:
    """Return the run's own tokenizer, kept so that it outlives changes to the world.

    Other processes of the run look for it at the same time: it appears whole.
    """
    words = out / "tokenizer.json"
    if not words.exists():
        out.mkdir(parents=True, exist_ok=True)
        first = Tokenizer.from_file(str(start / "tokenizer.json")) if start else world_tokenizer()
        create_file(words, first.to_str(pretty=True).encode())
    return Tokenizer.from_file(str(words))


def _optimizers(model: Qwen2ForCausalLM, settings: Settings) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    muon = torch.optim.Muon(
        matrices, lr=settings.matrix_lr, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    return muon, torch.optim.AdamW(others, lr=settings.other_lr, betas=(0.9, 0.97), weight_decay=0.01)


def _rate(step: int, settings: Settings) -> float:
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    left = min(1.0, (settings.steps - step) / max(1, settings.decay_steps))
    return warm * left


def _progress(step: int, settings: Settings, loss: float, speed: float, *, processes: int) -> str:
    width = 24
    done = width * step // settings.steps
    step_tokens = settings.batch_tokens * processes
    tokens = step * step_tokens / 1e6
    left = (settings.steps - step) * step_tokens / max(speed, 1.0) / 60
    bar = "#" * done + "." * (width - done)
    return f"[{bar}] step {step} {tokens:.1f}M tokens loss {loss:.4f} {speed:.0f} tokens/s {left:.0f} min left"


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and of the finished model")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--from-model", type=Path, dest="start", help="finished model to go on from")
    parser.add_argument("--mix", action="append", default=[], metavar="TASK=WEIGHT", help="change a task's share")
    for name, kind in (("seed", int), ("steps", int), ("decay_steps", int), ("batch_tokens", int),
                       ("matrix_lr", float), ("other_lr", float), ("easy_tokens", int), ("save_seconds", float),
                       ("hidden", int), ("layers", int), ("feed_forward", int)):  # fmt: skip
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=getattr(Settings(), name))
    parser.add_argument("--distributed", action="store_true", help="started by torch.distributed.run: share the work")
    parser.add_argument("--compiled", action="store_true", help="compile the model: slower start, faster steps")
    arguments = vars(parser.parse_args())
    torch.set_num_threads(arguments.pop("threads"))
    if arguments.pop("distributed"):
        dist.init_process_group("gloo" if arguments["device"] == "cpu" else "nccl")
    out, device, start = arguments.pop("out"), arguments.pop("device"), arguments.pop("start")
    changes = dict(entry.split("=") for entry in arguments.pop("mix"))
    mix = DEFAULT_MIX | {name: float(weight) for name, weight in changes.items()}
    train(Settings(**arguments), out, device=device, mix=mix, start=start)


if __name__ == "__main__":
    main()
