"""From raw ratings to the rating data set: one module a source, the data set's schema and writer, film features, the
film catalogue that travels in a model's folder, and the matching of an account export to it. Nothing here imports
modeling, training or reel."""
