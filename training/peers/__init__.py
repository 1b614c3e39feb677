"""Other people's recommenders, through their own libraries (the extra `peers`), measured as ours are."""
