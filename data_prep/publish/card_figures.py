"""The pictures in a published data set's card: how ratings, users and films are distributed.

They are drawn from counts in which no single person or film is left, and the same counts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from data_prep.building.card import FIGURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR = "#0072B2"
_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
}
_BINS = 40


@dataclass
class Distributions:
    """Counts over a whole data set, all splits together.

    Attributes:
        ratings: integers [10], ratings of 1 to 10.
        per_user: integers [users], how many ratings each user gave, in no order.
        per_film: integers [rated films], how many ratings each film has, in no order.
        years: integers [years], films of each year from `first_year` on.
        first_year: of the films whose year is known; 0 when it is of none.
    """

    ratings: np.ndarray
    per_user: np.ndarray
    per_film: np.ndarray
    years: np.ndarray
    first_year: int


def count_distributions(folder: Path) -> Distributions:
    """Count what the pictures show, from the Parquet files of a data set folder."""
    ratings = pl.scan_parquet(sorted((folder / "ratings").glob("*.parquet")))
    by_rating, by_user, by_film = pl.collect_all(
        [ratings.group_by(name).len() for name in ("rating", "user_id", "film_id")], engine="streaming"
    )
    counts = dict(by_rating.iter_rows())
    years = pl.read_parquet(sorted((folder / "films").glob("*.parquet")), columns=["year"])["year"].drop_nulls()
    first = years.min() if len(years) else 0
    assert isinstance(first, int)
    return Distributions(
        ratings=np.array([counts.get(rating, 0) for rating in range(1, 11)]),
        per_user=by_user["len"].to_numpy(),
        per_film=by_film["len"].to_numpy(),
        years=np.bincount((years - first).to_numpy()),
        first_year=first,
    )


def draw_figures(distributions: Distributions, folder: Path) -> list[Path]:
    """Draw the files of `FIGURES` into `folder`, which must exist.

    Returns:
        The files written.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    draw: dict[str, Callable[[Axes], None]] = {
        "ratings.png": lambda axes: _draw_ratings(axes, distributions.ratings),
        "ratings_per_user.png": lambda axes: _draw_histogram(axes, distributions.per_user, "ratings", "users"),
        "ratings_per_film.png": lambda axes: _draw_histogram(axes, distributions.per_film, "ratings", "films"),
        "films_per_year.png": lambda axes: _draw_years(axes, distributions.years, distributions.first_year),
    }
    written = []
    with matplotlib.rc_context(_STYLE):
        for name, title in FIGURES.items():
            figure = Figure(figsize=(7, 3.4), layout="constrained")
            FigureCanvasAgg(figure)
            axes = figure.subplots()
            draw[name](axes)
            axes.set_title(title)
            axes.yaxis.set_major_formatter(lambda value, position: f"{value:,.0f}")
            figure.savefig(folder / name, format="png", dpi=130, metadata={"Software": None})
            written.append(folder / name)
    return written


def _draw_ratings(axes: Axes, counts: np.ndarray) -> None:
    axes.bar(np.arange(1, 11), counts, 0.8, color=_COLOUR)
    axes.set_xticks(np.arange(1, 11))
    axes.set(xlabel="rating", ylabel="ratings")


def _draw_histogram(axes: Axes, values: np.ndarray, what: str, whose: str) -> None:
    """How many values fall into each of some bins that grow with the value."""
    from matplotlib.ticker import LogLocator, NullLocator

    edges = np.unique(np.geomspace(values.min(), values.max() + 1, _BINS).round())
    axes.stairs(np.histogram(values, edges)[0], edges, fill=True, color=_COLOUR)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, position: f"{value:,.0f}")
    axes.set(xlabel=what, ylabel=whose)


def _draw_years(axes: Axes, counts: np.ndarray, first: int) -> None:
    axes.stairs(counts, np.arange(first, first + len(counts) + 1) - 0.5, fill=True, color=_COLOUR)
    axes.set(xlabel="year of release", ylabel="films")
