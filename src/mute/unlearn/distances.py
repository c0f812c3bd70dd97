"""Distances between what a model says now and what it said before, as functions of tensors alone.

N tokens, V vocabulary. Logits [N, V] are of any kind of token; a method takes the mean over its answer tokens.
"""

from torch import Tensor
from torch.nn.functional import kl_div


def kl(reference: Tensor, logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(softmax(reference / T) || softmax(logits / T)) of each token [N], in nats."""
    known, now = ((own / temperature).log_softmax(-1) for own in (reference, logits))
    return temperature**2 * kl_div(now, known, reduction="none", log_target=True).sum(-1)


def cross_entropy(reference: Tensor, logits: Tensor) -> Tensor:
    """-sum softmax(reference) log softmax(logits) of each token [N]: KL and the entropy of the reference."""
    return -(reference.softmax(-1) * logits.log_softmax(-1)).sum(-1)
