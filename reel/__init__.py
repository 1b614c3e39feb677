"""What people touch: the `Recommender` and the command line.

from reel import Recommender
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_prep.errors import UserError

if TYPE_CHECKING:
    from reel.recommender import Reason, Recommendation, Recommender

__all__ = ["Reason", "Recommendation", "Recommender", "UserError"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: the recommender needs torch, and `reel --help` should not wait for it.
    if name in __all__:
        from reel import recommender

        return getattr(recommender, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
