"""A sparse autoencoder: states as sums of few of many directions, each with how much of it there is.

States x [..., D] in units in which a feature varies by about 1. z = relu(W_e (x - b_d) + b_e) [..., W] are latents, and
W_d z + b_d is what they make of x again. It is trained on the mean squared error over features plus l1 times the sum of
the latents, with columns of W_d of length 1: else small latents would be bought with long columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize


@dataclass
class Autoencoder:
    """encoder: W_e [W, D]. encoder_bias: b_e [W]. decoder: W_d [D, W]. decoder_bias: b_d [D]."""

    encoder: Tensor
    encoder_bias: Tensor
    decoder: Tensor
    decoder_bias: Tensor

    def latents(self, states: Tensor) -> Tensor:
        """z [..., W] of states [..., D]."""
        return ((states - self.decoder_bias) @ self.encoder.T + self.encoder_bias).relu()

    def made(self, latents: Tensor) -> Tensor:
        """States [..., D] of latents [..., W]."""
        return latents @ self.decoder.T + self.decoder_bias

    def loss(self, states: Tensor, l1: float) -> Tensor:
        """Mean over states of the mean squared error over features and of l1 times the sum of the latents."""
        z = self.latents(states)
        return ((self.made(z) - states).square().mean(-1) + l1 * z.sum(-1)).mean()

    @torch.no_grad()
    def explained(self, states: Tensor) -> float:
        """Share of the variance of states [N, D] that it gives back."""
        lost = (self.made(self.latents(states)) - states).square().sum()
        return 1 - float(lost / (states - states.mean(0)).square().sum())


def trained(
    states: Tensor, width: int, *, l1: float, steps: int, batch: int, learning_rate: float, seed: int
) -> Autoencoder:
    """An autoencoder with `width` latents of states [N, D], the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    size = states.shape[1]
    columns = normalize(torch.randn(size, width, generator=generator), dim=0).to(states)
    made = Autoencoder(columns.T.clone(), columns.new_zeros(width), columns, states.mean(0))
    own = [made.encoder, made.encoder_bias, made.decoder, made.decoder_bias]
    with torch.enable_grad():
        for tensor in own:
            tensor.requires_grad_(True)
        optimizer = torch.optim.Adam(own, lr=learning_rate)
        for _ in range(steps):
            rows = torch.randint(len(states), (min(batch, len(states)),), generator=generator)
            optimizer.zero_grad()
            made.loss(states[rows.to(states.device)], l1).backward()
            optimizer.step()
            with torch.no_grad():
                made.decoder.div_(made.decoder.norm(dim=0).clamp(min=1e-8))
    return Autoencoder(*(tensor.detach() for tensor in own))


def separation(known: Tensor, unknown: Tensor) -> Tensor:
    """AUC [W] of each latent within pairs [n, W]: how often it is larger in the known one; equal ones are a half.

    Of prompts that say the same but for a name: over all prompts at once, how they are worded would hide the rest.
    """
    return ((known > unknown).double() + (known == unknown).double() / 2).mean(0)
