"""The models, one folder each, and the losses they are trained with.

A model folder imports nothing of the project but itself, so that it can travel to the Hub and be loaded with
`trust_remote_code=True`. Every model answers one question, `predict(history_films, history_ratings, candidate_films)`:
the probabilities of the ratings 1..10.
"""
