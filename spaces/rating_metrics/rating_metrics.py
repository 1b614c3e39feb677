"""Metrics of predicted rating distributions, as a module of `evaluate`; it needs nothing else of its project."""

import datasets
import evaluate
import numpy as np

NUM_RATINGS = 10
RATINGS = np.arange(1, NUM_RATINGS + 1)
REWARD_RATING = 7
REWARD_THRESHOLD = 0.5
ECE_BINS = 10
SMALLEST_PROBABILITY = 1e-12  # a case given no chance at all costs 27.6 nats, not infinity
TOLERANCE = 1e-3  # float16 probabilities are that far from summing to 1

_DESCRIPTION = """\
How well predicted distributions over the ratings 1..10 (Letterboxd's half stars, doubled) fit the ratings given: as
point predictions, as answers to "7 or more?" (the reward of the paper Reel Recommendations), and as distributions.
"""

_CITATION = """\
@misc{benham2024reel,
  title  = {Reel Recommendations: Leveraging Reinforcement Learning for Tailored LetterBoxd Recommendations},
  author = {Benham, Luke and Fatemi, Michael and Lekan, Kasra},
  note   = {University of Virginia}
}
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of ten `float`s each): probabilities of the ratings 1..10; each row sums to 1.
    references (`list` of `int`): the ratings given, 1..10.

Returns:
    With m the expected rating of a case, y its rating, q = P(rating >= 7) and z = [y >= 7]; `None` where a quotient
    has no denominator:
    rmse, mae: root mean squared and mean absolute error of m, in ratings.
    reward_accuracy: share of cases with [q >= .5] = z.
    precision, recall: of [q >= .5] for z.
    r2: 1 - sum (y - m)^2 / sum (y - mean y)^2.
    paper_r2: the same with, in the place of m, the line through the points (y, m) fitted by least squares, at y.
    nll: mean -ln p(y), in nats; p is held at 1e-12 or more.
    rps: mean over cases of sum over t = 1..9 of (P(rating <= t) - [y <= t])^2, not divided by 9.
    ece: expected calibration error of q, over ten bins of equal width.
    auc: area under the ROC curve of q for z; a tie counts one half.

Raises:
    ValueError: for no case at all, a rating that is none of 1..10, or a row that is no distribution.

Examples:
    >>> import evaluate
    >>> rating_metrics = evaluate.load("spaces/rating_metrics")
    >>> surely_8 = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    >>> either_4_or_6 = [0, 0, 0, .5, 0, .5, 0, 0, 0, 0]
    >>> results = rating_metrics.compute(predictions=[surely_8, either_4_or_6], references=[9, 4])
    >>> results["mae"], results["reward_accuracy"], results["rps"], results["auc"]
    (1.0, 1.0, 0.75, 1.0)

    Where every film was rated 7 or more, none can be ranked above another:

    >>> rating_metrics.compute(predictions=[surely_8, either_4_or_6], references=[9, 8])["auc"] is None
    True
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class RatingMetrics(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.List(datasets.Value("float64"), length=NUM_RATINGS),
                    # No integer: `datasets` would cut 6.5 off to 6 without a word.
                    "references": datasets.Value("float64"),
                }
            ),
        )

    def _compute(self, predictions, references):
        probabilities, ratings = checked(predictions, references)
        chance = probabilities[:, REWARD_RATING - 1 :].sum(axis=1)
        values = {
            **point_metrics(probabilities @ RATINGS, ratings),
            **reward_metrics(chance, ratings >= REWARD_RATING),
            **distribution_metrics(probabilities, ratings),
        }
        return {name: None if np.isnan(value) else float(value) for name, value in values.items()}


def checked(predictions, references):
    """Probabilities [n, 10], each row brought to a sum of exactly 1, and whole ratings [n]; ValueError for others."""
    probabilities, ratings = np.asarray(predictions, dtype=np.float64), np.asarray(references, dtype=np.float64)
    if not len(ratings):
        raise ValueError("predictions and references are empty: there is no case to score")
    if not (right := np.isin(ratings, RATINGS)).all():
        row = int(np.argmin(right))
        raise ValueError(f"references[{row}] is {ratings[row]}; ratings are the whole numbers 1..10")
    sums = probabilities.sum(axis=1)
    right = (np.abs(sums - 1) < TOLERANCE) & (probabilities >= 0).all(axis=1)  # false for nan
    if not right.all():
        row = int(np.argmin(right))
        raise ValueError(
            f"predictions[{row}] is {probabilities[row].tolist()}, which sums to {sums[row]:.6g}; the probabilities "
            "of the ratings 1..10 are 0 or more and sum to 1"
        )
    return probabilities / sums[:, None], ratings.astype(np.int64)


def point_metrics(expected, ratings):
    """Of the expected ratings [n] for the ratings [n]."""
    errors = expected - ratings
    variance = np.var(ratings)
    slope = np.mean((ratings - ratings.mean()) * (expected - expected.mean())) / variance if variance else np.nan
    line = expected.mean() + slope * (ratings - ratings.mean())
    return {
        "rmse": np.sqrt(np.mean(errors**2)),
        "mae": np.mean(np.abs(errors)),
        "r2": 1 - np.mean(errors**2) / variance if variance else np.nan,
        "paper_r2": 1 - np.mean((ratings - line) ** 2) / variance if variance else np.nan,
    }


def reward_metrics(chance, rewarded):
    """Of P(rating >= 7) [n] for whether the rating is [n]."""
    predicted = chance >= REWARD_THRESHOLD
    bins = np.minimum((chance * ECE_BINS).astype(np.int64), ECE_BINS - 1)  # [0, .1), ..., [.9, 1]
    gaps = np.bincount(bins, weights=chance - rewarded)
    return {
        "reward_accuracy": np.mean(predicted == rewarded),
        "precision": rewarded[predicted].mean() if predicted.any() else np.nan,
        "recall": predicted[rewarded].mean() if rewarded.any() else np.nan,
        "ece": np.abs(gaps).sum() / len(chance),
        "auc": area_under_curve(chance, rewarded),
    }


def area_under_curve(chance, rewarded):
    """How often a rewarded case has the higher chance than an unrewarded one; a tie counts one half."""
    low, high = np.sort(chance[~rewarded]), chance[rewarded]
    if not len(low) or not len(high):
        return np.nan
    beaten, beaten_or_tied = (np.searchsorted(low, high, side=side) for side in ("left", "right"))
    return np.mean(beaten + beaten_or_tied) / (2 * len(low))


def distribution_metrics(probabilities, ratings):
    """Of the distributions [n, 10] for the ratings [n]."""
    given = probabilities[np.arange(len(ratings)), ratings - 1]
    at_most = np.cumsum(probabilities[:, :-1], axis=1)  # P(rating <= 1..9)
    return {
        "nll": np.mean(-np.log(np.maximum(given, SMALLEST_PROBABILITY))),
        "rps": np.mean(np.sum((at_most - (ratings[:, None] <= RATINGS[:-1])) ** 2, axis=1)),
    }
