"""The paper's tables and figures, made again on data whose test users are unseen in training, and its own numbers."""
