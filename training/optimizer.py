"""Muon for the matrices inside a model, another optimizer for everything else, as one optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Muon, Optimizer


class MuonAndOther(Optimizer):
    """
    Two optimizers that a trainer, a schedule and a checkpoint see as one.

    Args:
        matrices (sequence of `nn.Parameter` of two dimensions): trained by Muon (K. Jordan et al., 2024), its steps
            as large as AdamW's at the same learning rate (J. Liu et al., "Muon is Scalable for LLM Training", 2025).
        other (`torch.optim.Optimizer`): of all other parameters.
        lr (`float`): learning rate of the matrices.
        weight_decay (`float`): their decoupled weight decay.
    """

    def __init__(self, matrices: Sequence[nn.Parameter], other: Optimizer, lr: float, weight_decay: float):
        self.muon = Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        self.other = other
        super().__init__([*self.muon.param_groups, *other.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Both work on this optimizer's own groups, the first of which is Muon's, and state."""
        self.muon.param_groups, self.other.param_groups = self.param_groups[:1], self.param_groups[1:]
        self.muon.state = self.other.state = self.state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # a checkpoint's, in groups and state of its own
        self._share()

    @torch.no_grad()
    def step(self, closure=None):
        loss = self.muon.step(closure)
        self.other.step()
        return loss
