"""The cases that every number follows: ten target ratings a user, the same for every model and every history length.

A user's ratings are laid out once, `history ..., ten targets`. An ordered history keeps its order, so the targets are
its latest ratings; an unordered one is shuffled by a hash of (seed, user, film). The history of length k is always the
k ratings just before the targets, so shorter ones are nested in longer ones. A user is told by what they rated:
neither the order of the users nor of an undated user's rows, nor the films' numbering, nor the user ids, which are
keyed hashes and differ from machine to machine, have any influence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from data_prep.dataset import Histories

NUM_TARGETS = 10
DEFAULT_LENGTHS = (0, 1, 2, 5, 10, 20, 50, 100, 200)
LARGEST_CURVE_LENGTH = 200  # longer histories are reported for all users who have them, apart from the curve
SMALL_DATA_LENGTH = 50  # where hardly anyone has room for 200, the default lengths end here
FEW_USERS = 30
CASES_PER_RATING = 100  # of the stratified sample
USERS_PER_LAYOUT = 2000  # users sorted at a time: bounds the memory


@dataclass(frozen=True)
class LengthPlan:
    """Which history lengths are scored, and for whom.

    Attributes:
        curve: lengths of the curve: all are scored on the users with room for the largest.
        all: lengths scored on every user with room for each: the curve's and longer ones.
        notes: one line for each thing that a reader of the numbers should know (lengths left out, few users).
    """

    curve: tuple[int, ...]
    all: tuple[int, ...]
    notes: tuple[str, ...] = ()


class ProtocolCases:
    """The users of a split laid out for scoring.

    Args:
        histories: the split's users; those with fewer than ten ratings are left out.
        film_ids: film_index -> film_id, the whole films table.
        seed: of targets, shuffles and samples.
        max_users: keep at most this many users, drawn by a hash of (seed, user).

    Attributes:
        user_ids: of the users kept.
        num_left_out: users with fewer than ten ratings.
        ordered: [users] whether a user's ratings have an order.
        room: [users] the longest history each can have: their number of ratings less ten.
        target_films, target_ratings: [users, 10], int32 film_index and int8 rating 1..10.
        sample_keys: [users, 10] uint64, what the stratified sample is drawn by.
    """

    def __init__(
        self, histories: Histories, film_ids: Sequence[str], *, seed: int = 0, max_users: int | None = None
    ) -> None:
        lengths = np.diff(histories.offsets)
        users = np.flatnonzero(lengths >= NUM_TARGETS)
        self.num_left_out = len(lengths) - len(users)
        film_keys = hashes(film_ids, "film")
        prints = fingerprints(histories, film_keys)
        if max_users is not None and len(users) > max_users:
            drawn = salted(prints[users], f"{seed} users")
            users = np.sort(users[np.argsort(drawn, kind="stable")[:max_users]])
        self.user_ids = [histories.user_ids[user] for user in users]
        self.ordered = histories.ordered[users]
        lengths = lengths[users]
        self.film_ids = pa.array(film_ids, type=pa.string())
        self.room = lengths - NUM_TARGETS
        self._ends = np.cumsum(lengths)

        user_keys = salted(prints[users], f"{seed} order")
        self._films = np.empty(lengths.sum(), dtype=np.int32)
        self._ratings = np.empty(lengths.sum(), dtype=np.int8)
        for start in range(0, len(users), USERS_PER_LAYOUT):
            block = slice(start, start + USERS_PER_LAYOUT)
            rows = laid_out(histories, users[block], user_keys[block], film_keys)
            end = self._ends[block][-1]
            self._films[end - len(rows) : end] = histories.film_indices[rows]
            self._ratings[end - len(rows) : end] = histories.ratings[rows]

        targets = self._ends[:, None] - NUM_TARGETS + np.arange(NUM_TARGETS)
        self.target_films, self.target_ratings = self._films[targets], self._ratings[targets]
        # Another hash than the order's: the targets are the rows with the largest of those.
        self.sample_keys = mix(salted(prints[users], f"{seed} sample")[:, None] ^ film_keys[self.target_films])

    def __len__(self) -> int:
        return len(self.room)

    def users_with_room(self, context_length: int) -> NDArray[np.int64]:
        """Positions of the users with a history of at least `context_length` besides their targets."""
        return np.flatnonzero(self.room >= context_length)

    def histories(self, users: np.ndarray, context_length: int) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        """Film indices and ratings, [len(users), context_length], oldest first where ordered. All `users`
        must have the room."""
        rows = self._ends[users, None] - NUM_TARGETS - context_length + np.arange(context_length)
        return self._films[rows], self._ratings[rows]

    def whole_histories(self) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
        """Film indices and ratings of all users end to end, the targets last of each, and where each user's begin,
        [users + 1]."""
        return self._films, self._ratings, np.concatenate([[0], self._ends])

    def table(self, users: np.ndarray, context_length: int, *, order: np.ndarray | None = None) -> pa.Table:
        """The ten cases of each of `users` as the table that `reel predict` reads.

        Args:
            users: their positions.
            context_length: ratings of each history.
            order: places of these ratings, [context_length], in the order in which they are to be read.

        Returns:
            `case_id` int64 (ten times the user's position, plus the target's: the same at every length),
            `history_film_ids` list<dictionary<int32, string>>, `history_ratings` list<int8>, `film_id`
            dictionary<int32, string>; 10 len(users) rows.
        """
        films, ratings = self.histories(users, context_length)
        if order is not None:
            films, ratings = films[:, order], ratings[:, order]
        num_cases = NUM_TARGETS * len(users)
        offsets = pa.array(np.arange(num_cases + 1, dtype=np.int64) * context_length, type=pa.int32())
        history_films = np.repeat(films, NUM_TARGETS, axis=0).ravel()
        history_ratings = np.repeat(ratings, NUM_TARGETS, axis=0).ravel()
        return pa.table(
            {
                "case_id": pa.array((users[:, None] * NUM_TARGETS + np.arange(NUM_TARGETS)).ravel(), type=pa.int64()),
                "history_film_ids": pa.ListArray.from_arrays(offsets, self._named(history_films)),
                "history_ratings": pa.ListArray.from_arrays(offsets, pa.array(history_ratings)),
                "film_id": self._named(self.target_films[users].ravel()),
            }
        )

    def _named(self, film_indices: np.ndarray) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(film_indices, type=pa.int32()), self.film_ids)


def plan_lengths(room: np.ndarray, requested: Sequence[int] | None = None) -> LengthPlan:
    """Choose the history lengths for users with this much `room` [users].

    Without `requested` lengths the default ones are used, cut to 50 where under 30 users have room for 200. Lengths
    that nobody has room for are left out with a note.
    """
    notes = []
    lengths = sorted(set(DEFAULT_LENGTHS if requested is None else requested))
    if requested is None and (longest := int((room >= LARGEST_CURVE_LENGTH).sum())) < FEW_USERS:
        lengths = [length for length in lengths if length <= SMALL_DATA_LENGTH]
        notes.append(
            f"{longest} users have room for histories of {LARGEST_CURVE_LENGTH}: lengths end at {lengths[-1]}"
        )
    users = {length: int((room >= length).sum()) for length in lengths}
    if empty := [length for length in lengths if not users[length]]:
        notes.append("left out, no user has so many ratings: history length " + ", ".join(map(str, empty)))
    if few := [length for length in lengths if 0 < users[length] < FEW_USERS]:
        notes.append(
            f"under {FEW_USERS} users, so wide intervals: "
            + ", ".join(f"history length {length} ({users[length]} users)" for length in few)
        )
    lengths = [length for length in lengths if users[length]]
    curve = tuple(length for length in lengths if length <= LARGEST_CURVE_LENGTH)
    return LengthPlan(curve=curve, all=tuple(lengths), notes=tuple(notes))


def stratified_sample(ratings: np.ndarray, keys: np.ndarray) -> NDArray[np.int64]:
    """Positions of at most 100 cases per true rating, those with the smallest `keys` [n]; sorted."""
    order = np.lexsort((keys, ratings))
    ordered = np.asarray(ratings)[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return np.sort(order[rank < CASES_PER_RATING])


def laid_out(
    histories: Histories, users: np.ndarray, user_keys: np.ndarray, film_keys: np.ndarray
) -> NDArray[np.int64]:
    """Positions in `histories` of all ratings of `users`, one user after the other, each user's targets last."""
    lengths = histories.offsets[users + 1] - histories.offsets[users]
    user_of_row = np.repeat(np.arange(len(users)), lengths)
    row_in_user = np.arange(len(user_of_row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = histories.offsets[users][user_of_row] + row_in_user
    shuffled = mix(user_keys[user_of_row] ^ film_keys[histories.film_indices[rows]])
    keys = np.where(histories.ordered[users][user_of_row], row_in_user.astype(np.uint64), shuffled)
    return rows[np.lexsort((keys, user_of_row))]


def fingerprints(histories: Histories, film_keys: np.ndarray) -> NDArray[np.uint64]:
    """A 64-bit hash of each user's set of ratings, [users]: the same for the same ratings on every machine."""
    rows = mix(film_keys[histories.film_indices] + histories.ratings.astype(np.uint64))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(rows, dtype=np.uint64)])
    return sums[histories.offsets[1:]] - sums[histories.offsets[:-1]]


def salted(keys: np.ndarray, salt: str) -> NDArray[np.uint64]:
    """Hashes of the hashes `keys`, others for every `salt`."""
    return mix(keys ^ hashes([salt], "salt"))


def hashes(names: Sequence[str], salt: str) -> NDArray[np.uint64]:
    """A 64-bit hash of each name that is the same in every process, [names]."""
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    digests = [hashlib.blake2b(name.encode(), digest_size=8, key=key).digest() for name in names]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def mix(values: np.ndarray) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): makes two hashes joined by xor independent of either
    alone."""
    values = values.astype(np.uint64)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
