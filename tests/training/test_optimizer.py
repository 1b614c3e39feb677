"""Two optimizers as one: each does to its own weights what it would do alone, and a checkpoint holds both."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.optim import AdamW, Muon

from training.optimizer import MuonAndOther


def model_and_optimizer() -> tuple[nn.Module, MuonAndOther]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 6))
    matrix, bias, weight, other_bias = model.parameters()
    other = AdamW([{"params": [bias, other_bias]}, {"params": [weight]}], lr=1e-2)
    return model, MuonAndOther([matrix], other, lr=2e-2, weight_decay=0.1)


def step(model: nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    model.zero_grad()
    model(torch.arange(12.0).view(2, 6) / 12).square().sum().backward()
    for optimizer in optimizers:
        optimizer.step()


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_each_does_what_it_would_do_alone():
    together, optimizer = model_and_optimizer()
    apart, _ = model_and_optimizer()
    matrix, *others = apart.parameters()
    muon = Muon([matrix], lr=2e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adamw = AdamW(others, lr=1e-2)
    for _ in range(3):
        step(together, optimizer)
        step(apart, muon, adamw)
    assert same(together, apart)


def test_a_schedule_reaches_both():
    model, optimizer = model_and_optimizer()
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0)
    before = copy.deepcopy(model)
    step(model, optimizer)
    assert same(model, before)


def test_a_checkpoint_goes_on_where_it_stopped():
    model, optimizer = model_and_optimizer()
    for _ in range(2):
        step(model, optimizer)
    resumed, fresh = model_and_optimizer()
    resumed.load_state_dict(model.state_dict())
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(2):
        step(model, optimizer)
        step(resumed, fresh)
    assert same(model, resumed)
