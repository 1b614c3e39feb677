"""The command line: one table of verbs, each the `main` of the module that does the work."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from data_prep.errors import UserError, exit_status

# verb: (module with `main(arguments)`, what it does). A module is imported when its verb is called, so `reel --help`
# is quick.
VERBS: dict[str, tuple[str, str]] = {
    "data sample": ("data_prep.sample", "the built-in sample of real ratings (MovieLens) as a data set"),
    "data tables": ("data_prep.tables.command", "Parquet or CSV tables of ratings and films as a data set"),
    "data export": ("data_prep.member.export", "a Letterboxd account export as one history"),
    "data members": ("data_prep.member.members", "account exports of one or several members as a data set"),
    "data movielens": ("data_prep.movielens.command", "a MovieLens folder as a data set"),
    "data rss": ("data_prep.member.rss", "a member's RSS feed as one history"),
    "data pages": ("data_prep.pages.command", "saved Letterboxd pages as a data set, or what one page holds"),
    "data crawl": ("data_prep.crawl.command", "fetch pages of members, for those who have permission"),
    "data tmdb": ("data_prep.tmdb.command", "film details from the TMDB API, or to complete a data set's films"),
    "data merge": ("data_prep.merge.command", "several data sets as one"),
    "data features": ("data_prep.features", "the feature table of a data set's films"),
    "train film-token-gpt2": ("training.film_token_gpt2", "train a GPT-2 that reads a film as one token"),
    "train text-gpt2": ("training.text_gpt2", "train a GPT-2 that reads films and ratings as text"),
    "train deepfm": ("training.deepfm", "train a DeepFM on film features and user vectors, the paper's first system"),
    "train baseline": ("training.baseline", "compute a baseline: film-mean, shrunk-bias, als, ridge or bandit"),
    "evaluate": ("reel.evaluate", "score models side by side on users they have not seen"),
    "predict": ("reel.predict", "rating distributions for many histories and films at once"),
    "recommend": ("reel.recommend", "what a person would rate highest, from their account export"),
    "reproduce table-1": ("reel.reproduce_table_1", "the paper's first table: DeepFM on new films, beside baselines"),
    "reproduce table-2": ("reel.reproduce_table_2", "the paper's last table and figures 2 to 5, beside its numbers"),
    "reproduce figures": ("reel.reproduce_table_2", "the same: table and figures are of one set of predictions"),
    "publish dataset": ("data_prep.publish.command", "a data set to the Hugging Face Hub"),
    "publish model": ("training.publish.command", "a trained model with its film catalogue and card to the Hub"),
    "publish space": ("reel.publish_space", "the web page or the metrics as a Space on the Hub"),
    "demo": ("reel.demo", "the web page: rate films or drop an export, get recommendations"),
}


def usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  reel {verb:<{width}}  {summary}" for verb, (_, summary) in VERBS.items())
    return (
        "Reel learns how a person rates films, and tells them what to watch.\n\n"
        f"{verbs}\n\n`reel VERB --help` lists a verb's options; `reel --version` says which version this is."
    )


def run(arguments: Sequence[str]) -> None:
    """Find the verb at the start of `arguments` and hand it the rest."""
    words = list(arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return
    if words[0] == "--version":
        print(version("reel-recommendations"))
        return
    for length in (2, 1):
        verb = " ".join(words[:length])
        if verb in VERBS:
            import_module(VERBS[verb][0]).main(words[length:])
            return
    family = {verb: entry for verb, entry in VERBS.items() if verb.startswith(f"{words[0]} ")}
    if family and (len(words) == 1 or words[1] in ("-h", "--help")):
        print("\n".join(f"  reel {verb:<24}{summary}" for verb, (_, summary) in family.items()))
        return
    raise UserError(f"reel knows no verb {' '.join(words[: 2 if family else 1])!r}; `reel --help` lists them")


def main() -> int:
    """The console script `reel`: 0 on success, 2 on a person's mistake."""
    return exit_status(run, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
