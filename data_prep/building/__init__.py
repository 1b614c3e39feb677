"""Building a data set folder: rows arranged user by user, users split, Parquet and a card written, all or nothing."""
