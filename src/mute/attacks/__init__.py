"""What is tried to bring back what was to be forgotten."""

from mute.attacks.base import Attack
from mute.registry import Classes

_REGISTRY = Classes(__name__, __path__, Attack, "attack", without=("base", "shard"))
names, load = _REGISTRY.names, _REGISTRY.load
