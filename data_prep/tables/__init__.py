"""`reel data tables`: tables of ratings and films, in Parquet or CSV."""
