"""`reel data movielens`: the published MovieLens folders."""
