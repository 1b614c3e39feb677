"""Training and judging: trainers and their arguments, collators, the evaluation protocol and its figures."""
