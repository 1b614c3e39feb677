"""How the baselines' tables are computed, one kind's mathematics a file; `training/baseline.py` is the command."""
