"""The Space's folder on the path: it is no package, as a Space is not."""

from __future__ import annotations

import sys
from pathlib import Path

SPACE = Path(__file__).resolve().parents[2] / "spaces" / "movie_recommender"
sys.path.insert(0, str(SPACE))
