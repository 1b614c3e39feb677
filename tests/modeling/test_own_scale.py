"""A person's own scale of ratings, against the formula written out for one person and one film."""

from __future__ import annotations

from statistics import NormalDist

import pytest
import torch

from modeling.film_token_gpt2.own_scale import ENDS, SIZE, SPREADS, on_own_scale

LOVES_OR_HATES = [40.0] + [0.1] * 8 + [60.0]
USUAL = [1.0, 2.0, 3.0, 6.0, 9.0, 15.0, 22.0, 22.0, 12.0, 8.0]
SHARES = torch.tensor([0.02, 0.03, 0.05, 0.1, 0.1, 0.15, 0.2, 0.2, 0.1, 0.05], dtype=torch.float64)
TO_THE_TOP = torch.tensor([-0.02, 0, 0, 0, -0.1, -0.1, 0, 0, 0, 0.22], dtype=torch.float64)


def placed(usage: list[float], leanings: torch.Tensor, mean: float = 6.0) -> torch.Tensor:
    usages = torch.tensor([usage], dtype=torch.float64)
    return on_own_scale(usages, SHARES[None], leanings[None], torch.tensor([mean], dtype=torch.float64))[0]


@pytest.mark.parametrize("usage", [LOVES_OR_HATES, USUAL])
def test_equals_the_formula(usage):
    normal, total = NormalDist(), sum(usage)
    own = [count / total for count in usage]
    up_to = [sum(own[: place + 1]) for place in range(10)]

    def score(share: float) -> float:
        return normal.inv_cdf(min(max(share, ENDS[0]), ENDS[1]))

    scores = [score(end - share / 2) for end, share in zip(up_to, own, strict=True)]
    middle = sum(s * share for s, share in zip(scores, own, strict=True))
    deviation = sum((s - middle) ** 2 * share for s, share in zip(scores, own, strict=True)) ** 0.5
    scores = [(s - middle) / deviation for s in scores]
    person = sum(s * share for s, share in zip(scores, (SHARES + TO_THE_TOP).tolist(), strict=True))
    returned = [10 - sum(normal.cdf((score(end) - person) / spread) for end in up_to[:9]) for spread in SPREADS]

    numbers = placed(usage, TO_THE_TOP)
    assert len(numbers) == SIZE
    expected = [person, sum(s * share for s, share in zip(scores, SHARES.tolist(), strict=True))]
    expected += [rating - 6 for rating in returned]
    torch.testing.assert_close(numbers, torch.tensor(expected, dtype=torch.float64))


def test_who_loves_or_hates_has_no_films_in_between():
    apart = {
        who: (placed(usage, TO_THE_TOP) - placed(usage, -TO_THE_TOP))[2:]
        for who, usage in (("bold", LOVES_OR_HATES), ("usual", USUAL))
    }
    assert (apart["bold"] > apart["usual"])[:2].all()  # where ratings are not too spread to tell the ends apart


def test_without_leanings_the_person_is_everyone():
    numbers = placed(USUAL, torch.zeros(10, dtype=torch.float64))
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("rating", [1, 10])
def test_somebody_who_always_gives_the_same_has_a_scale_too(rating):
    usage = [1e-6] * 10
    usage[rating - 1] = 1.0
    numbers = placed(usage, TO_THE_TOP, mean=float(rating))
    assert numbers.isfinite().all()
    assert ((numbers[2:] + rating >= 1) & (numbers[2:] + rating <= 10)).all()
