"""Small made-up MovieLens folders in every layout, for the tests of reading them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CSV = {
    "ratings.csv": "userId,movieId,rating,timestamp\n"
    + "".join(f"{user},{film},{stars},{time}\n" for user, film, stars, time in [
        (1, 7, 4.5, 1_000_000_000), (1, 9, 0.5, 999_999_999), (2, 7, 5.0, 1_262_304_000), (2, 300, 3.0, 1_262_304_001),
        (3, 9, 2.0, 4_000_000), (4, 7, 1.0, 86_399), (4, 9, 1.5, 86_400), (10, 300, 3.5, 1_500_000_000),
    ]),
    "movies.csv": "movieId,title,genres\n"
    '7,"Slow Train, The (1931)",Drama|Romance\n'
    "9,Étoile (2004–2006),(no genres listed)\n"
    '300,"Who, Me?",Comedy\n',
    "links.csv": "movieId,imdbId,tmdbId\n7,0021234,862\n9,12345678,\n300,,15.0\n",
}  # fmt: skip
DAT = {
    "ratings.dat": "1::7::4::1000000000\n1::9::1::999999999\n2::7::5::1262304000\n3::9::2.5::4000000\n4::7::1::9\n",
    "movies.dat": "7::Slow Train, The (1931)::Children's|Drama\n9::Étoile: a Tale (2004)::Comedy\n",
}
_FLAGS = "0|1|0|0|0|1|0|0|0|0|0|0|0|0|0|0|0|0|0"
ITEM = {
    "u.data": "1\t7\t4\t1000000000\n1\t9\t1\t999999999\n2\t7\t5\t1262304000\n3\t9\t2\t4000000\n4\t7\t1\t9\n",
    "u.item": f"7|Slow Train, The (1931)|01-Jan-1931||http://us.imdb.com/M/title-exact?x|{_FLAGS}\n"
    f"9|Étoile III (1995) (V)|30-Feb-1995|||{_FLAGS.replace('1', '0')}\n"
    f"11|unknown||||1|{_FLAGS[2:].replace('1', '0')}\n",
}


def folder(path: Path, files: Mapping[str, str | bytes], encoding: str = "utf-8") -> Path:
    """A folder of these files."""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return path
