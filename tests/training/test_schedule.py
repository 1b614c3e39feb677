"""The learning rate's course, and the clock that ends a run."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace

import pytest
from transformers import TrainerControl, TrainerState

from training.schedule import Clock, warmup_and_cosine

ONE_PROCESS = SimpleNamespace(world_size=1)
STATE = TrainerState(max_steps=100)


def test_warmup_and_cosine():
    assert warmup_and_cosine(0, 10, 0.0) == pytest.approx(0.1)
    assert warmup_and_cosine(9, 10, 0.0) == pytest.approx(1.0)
    assert warmup_and_cosine(500, 10, 0.5) == pytest.approx(0.5)
    assert warmup_and_cosine(500, 10, 1.0) == pytest.approx(0.0)
    assert warmup_and_cosine(500, 0, 7.0) == pytest.approx(0.0)
    assert warmup_and_cosine(3, 100, 0.25) == pytest.approx((1 + 0.5**0.5) / 2)  # a slow machine is warm by then


def test_the_clock_ends_a_run_when_its_minutes_are_over():
    clock, control = Clock(max_minutes=0.05 / 60), TrainerControl()
    clock.on_train_begin(ONE_PROCESS, TrainerState(), control)
    clock.on_step_end(ONE_PROCESS, STATE, control)
    assert not control.should_training_stop
    time.sleep(0.06)
    clock.on_step_end(ONE_PROCESS, STATE, control)
    assert control.should_training_stop
    assert clock.progress >= 1
    clock.on_train_end(ONE_PROCESS, STATE, control)


def test_time_before_a_resume_counts():
    clock = Clock(max_minutes=1, elapsed_before=45)
    checkpoint = TrainerState(global_step=7, stateful_callbacks={"Clock": clock.state()})
    resumed = Clock(max_minutes=1)
    resumed.on_train_begin(ONE_PROCESS, checkpoint, TrainerControl())
    resumed.on_train_end(ONE_PROCESS, checkpoint, TrainerControl())
    assert resumed.elapsed == pytest.approx(45, abs=1)
    assert resumed.progress == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step(number):
    before = signal.getsignal(number)
    clock, control = Clock(), TrainerControl()
    clock.on_train_begin(ONE_PROCESS, TrainerState(), control)
    os.kill(os.getpid(), number)
    assert not control.should_training_stop
    clock.on_step_end(ONE_PROCESS, STATE, control)
    assert control.should_training_stop
    clock.on_train_end(ONE_PROCESS, STATE, control)
    assert signal.getsignal(number) is before
    assert clock.interrupted


@pytest.mark.parametrize("state", [TrainerState(max_steps=5, global_step=5), TrainerState(max_steps=5, global_step=4)])
def test_a_signal_after_the_last_step_interrupts_nothing(state):
    clock, control = Clock(), TrainerControl()
    clock.on_train_begin(ONE_PROCESS, TrainerState(), control)
    clock.on_step_end(ONE_PROCESS, state, control)
    os.kill(os.getpid(), signal.SIGTERM)
    clock.on_train_end(ONE_PROCESS, state, control)
    assert clock.interrupted is (state.global_step < state.max_steps)
