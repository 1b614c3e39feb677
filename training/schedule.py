"""Time while training: a clock that plans and ends a run, and the bar that shows it."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState


def warmup_and_cosine(step: int, warmup_steps: int, progress: float) -> float:
    """
    Share of the peak learning rate.

    Args:
        step (`int`): optimiser steps made.
        warmup_steps (`int`): steps over which it rises linearly, or a twentieth of the run where that comes sooner.
        progress (`float`): how much of the run is over, 0..1; it falls along half a cosine.
    """
    warmup = min(1.0, max((step + 1) / max(1, warmup_steps), 20 * progress))
    return warmup * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def saved_state(callback: TrainerCallback, state: TrainerState) -> dict[str, Any]:
    """What the checkpoint that a run goes on from has of a callback; nothing where the run is a new one."""
    stored: dict[str, Any] = state.stateful_callbacks or {}  # type: ignore[assignment]  # declared as a list
    saved = stored.get(type(callback).__name__)
    return saved if state.global_step and isinstance(saved, dict) else {}


class Clock(TrainerCallback, ExportableState):
    """
    How much of a timed run is over, by the clock of the first process, the same on all of them; ends the run when its
    minutes are over, and any run at SIGINT or SIGTERM (a second signal has its usual effect). Time before a resume
    counts.

    Args:
        max_minutes (`float`, *optional*): the run's minutes; without, only the signals end it.
        elapsed_before (`float`): seconds that the run had taken when it was resumed.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, max_minutes: float | None = None, elapsed_before: float = 0.0):
        self.max_minutes = max_minutes
        self.elapsed_before = elapsed_before
        self.progress = 0.0
        self.interrupted = False
        self._started = time.monotonic()
        self._handlers: dict[int, object] = {}

    @property
    def elapsed(self) -> float:
        """Seconds of training so far."""
        return self.elapsed_before + time.monotonic() - self._started

    def state(self) -> dict:
        return {"args": {"max_minutes": self.max_minutes, "elapsed_before": self.elapsed}, "attributes": {}}

    def on_train_begin(self, args, state, control, **kwargs):
        if saved := saved_state(self, state):  # the checkpoint says how long the run had taken
            self.elapsed_before = saved["args"]["elapsed_before"]
        self._started = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._interrupt) for number in self.SIGNALS}
        self._read(args)

    def _interrupt(self, number, frame):
        self.interrupted = True
        signal.signal(number, self._handlers[number])  # type: ignore[arg-type]

    def _read(self, args) -> None:
        progress = self.elapsed / (60 * self.max_minutes) if self.max_minutes else 0.0
        if args.world_size > 1:
            reading = torch.tensor([progress if args.process_index == 0 else 0.0, float(self.interrupted)])
            reading = reading.to(args.device)
            torch.distributed.all_reduce(reading)
            progress, self.interrupted = float(reading[0]), bool(reading[1] > 0)
        self.progress = progress

    def on_step_end(self, args, state, control, **kwargs):
        self._read(args)
        if self.interrupted or self.progress >= 1:
            control.should_training_stop = True
            control.should_save = self.interrupted

    def on_train_end(self, args, state, control, **kwargs):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._handlers = {}
        if self.progress >= 1 or 0 < state.max_steps <= state.global_step:
            self.interrupted = False  # the run is over in any case, and there is nothing to go on with
        else:
            self._read(args)  # a signal since the last step is then known to all processes


class ProgressBar(TrainerCallback):
    """A bar on stderr with the time left and the loss; on the first process only."""

    def __init__(self, clock: Clock):
        self.clock = clock
        self.bar: Progress | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        if not state.is_world_process_zero:
            return
        self.bar = Progress(
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
            console=Console(stderr=True),
        )
        self.bar.start()
        self.task = self.bar.add_task("training", total=1.0, loss="")

    def on_step_end(self, args, state, control, **kwargs):
        if self.bar is not None:
            timed = self.clock.max_minutes is not None
            self.bar.update(self.task, completed=self.clock.progress if timed else state.global_step / state.max_steps)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if self.bar is not None and logs and "loss" in logs:
            self.bar.update(self.task, loss=f"loss {float(logs['loss']):.3f}, step {state.global_step:,}")

    def on_train_end(self, args, state, control, **kwargs):
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
