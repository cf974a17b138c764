"""The embedded model: a small Qwen2 trained from scratch on a synthetic world, shipped in the package.

`model` says where the weights are, `world` makes articles and questions (both without torch); `train` makes the
weights, `evaluate` measures them. What the model is for and how good it is: `CARD.md`.
"""

from sealserve.nano.model import weights_dir

__all__ = ["weights_dir"]
