"""Which users are for training, validation and test, and which films are kept back as cold.

Both are decided by seeded hashes of the *original* ids, so the outcome depends neither on the order of the rows nor on
the secret key that user names are hashed with.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from data_prep.errors import UserError

SPLITS = ("train", "validation", "test")
DEFAULT_SPLITS: dict[str, float] = {"train": 0.9, "validation": 0.05, "test": 0.05}
# A cold film with fewer ratings than this says little about how well new films are predicted.
COLD_FILM_RATINGS = 50


def parse_splits(text: str) -> dict[str, float]:
    """Read `train=.9,validation=.05,test=.05`, as an argparse type.

    >>> parse_splits("train=.8,test=.2")
    {'train': 0.8, 'test': 0.2}
    """
    splits: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.strip().partition("=")
        try:
            splits[name] = float(share)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is not name=share, as in train=.9") from None
    try:
        check_splits(splits)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return splits


def check_splits(splits: Mapping[str, float]) -> None:
    """Raise `UserError` unless `splits` are shares of train, validation and test that make one, train among them."""
    unknown = [name for name in splits if name not in SPLITS]
    if unknown:
        raise UserError(f"there is no split {unknown[0]!r}; splits are {', '.join(SPLITS)}")
    if not all(0 <= share <= 1 for share in splits.values()) or abs(sum(splits.values()) - 1) > 1e-6:
        raise UserError(f"splits {dict(splits)}: shares must be from 0 to 1 and sum to 1")
    if not splits.get("train"):
        raise UserError(f"splits {dict(splits)}: train needs a share above 0")


def parse_fold(text: str) -> tuple[int, int]:
    """Read `I/K`, fold I of K counted from 1, as an argparse type.

    >>> parse_fold("2/5")
    (2, 5)
    """
    first, _, second = text.partition("/")
    if not (first.isdigit() and second.isdigit()) or int(second) < 2 or not 1 <= int(first) <= int(second):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/K with 1 <= I <= K and K >= 2, as in 1/5")
    return int(first), int(second)


def seeded_order(ids: Sequence[str], seed: int, purpose: str) -> np.ndarray:
    """The positions of `ids` sorted by a hash of (seed, purpose, id): int64 [n], a permutation fixed by the ids
    alone."""
    salt = f"{seed}\0{purpose}\0"
    hashes = [hashlib.blake2b((salt + identifier).encode(), digest_size=16).digest() for identifier in ids]
    return np.array(sorted(range(len(ids)), key=hashes.__getitem__), dtype=np.int64)


def split_users(user_ids: Sequence[str], splits: Mapping[str, float], seed: int) -> np.ndarray:
    """A split for every user, in exact proportion (largest remainders first).

    Returns:
        int8 [n]: positions in `SPLITS`.

    Raises:
        UserError: when a split with a share above 0 would have no user.
    """
    check_splits(splits)
    exact = np.array([splits.get(name, 0.0) for name in SPLITS]) * len(user_ids)
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    for index in np.argsort(-(exact - sizes), kind="stable")[: len(user_ids) - sizes.sum()]:
        sizes[index] += 1
    for name, size in zip(SPLITS, sizes, strict=True):
        if splits.get(name, 0.0) > 0 and size == 0:
            raise UserError(f"{len(user_ids)} users are too few for a {name} split of {splits[name]:g}")
    assignment = np.empty(len(user_ids), dtype=np.int8)
    assignment[seeded_order(user_ids, seed, "split")] = np.repeat(np.arange(len(SPLITS), dtype=np.int8), sizes)
    return assignment


def fold_splits(user_ids: Sequence[str], fold: tuple[int, int], seed: int) -> np.ndarray:
    """Splits for cross-validation over users: fold I of K is the test set, the rest is train and validation, 9 to 1.

    Over I = 1..K with one seed every user is a test user exactly once.

    Returns:
        int8 [n]: positions in `SPLITS`.
    """
    number, folds = fold
    parts = np.array_split(seeded_order(user_ids, seed, "fold"), folds)
    rest = np.concatenate([part for position, part in enumerate(parts) if position != number - 1])
    if len(parts[number - 1]) == 0 or len(rest) < 2:
        raise UserError(f"{len(user_ids)} users are too few for {folds} folds")
    assignment = np.empty(len(user_ids), dtype=np.int8)
    assignment[parts[number - 1]] = SPLITS.index("test")
    shares = {"train": 0.9, "validation": 0.1} if len(rest) >= 10 else {"train": 0.5, "validation": 0.5}
    assignment[rest] = split_users([user_ids[index] for index in rest], shares, seed)
    return assignment


def choose_cold_films(groups: Sequence[str], rating_counts: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Choose films to keep back, whole film groups at a time, in a seeded random order.

    Groups with at least `COLD_FILM_RATINGS` ratings come first; where they do not suffice the others follow, most
    rated first. A group that would overshoot `number` is passed over for a smaller one.

    Args:
        groups: the film group of every film.
        rating_counts: int64 [films], ratings of every film by any user.
        number: how many films to choose.
        seed: seed of the order.

    Returns:
        bool [films]: True where a film is cold.

    Raises:
        UserError: when that many films cannot be kept back.
    """
    if number < 0:
        raise UserError(f"{number} cold films: must be 0 or more")
    members: dict[str, list[int]] = {}
    for film, group in enumerate(groups):
        members.setdefault(group, []).append(film)
    names = sorted(members)
    ratings = {name: int(rating_counts[members[name]].sum()) for name in names}
    shuffled = [names[position] for position in seeded_order(names, seed, "cold films")]
    # The sort is stable: groups with ratings enough stay in seeded order.
    order = sorted(shuffled, key=lambda name: -min(ratings[name], COLD_FILM_RATINGS))
    cold = np.zeros(len(groups), dtype=bool)
    left = number
    for name in order:
        if 0 < len(members[name]) <= left and ratings[name] > 0:
            cold[members[name]] = True
            left -= len(members[name])
    rated = int((rating_counts > 0).sum())
    if left or number >= rated:
        raise UserError(f"{number} cold films cannot be kept back: the ratings hold {rated} films; ask for fewer")
    return cold
