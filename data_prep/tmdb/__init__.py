"""Film details from the API of TMDB (themoviedb.org): a client with a cache on disk, and filling in of data sets.

What TMDB's terms permit: use that earns nothing is free (commercial use needs an agreement with TMDB); what was
fetched may be kept for at most six months; whatever shows it says

    This product uses the TMDB API but is not endorsed or certified by TMDB.
"""

ATTRIBUTION = "This product uses the TMDB API but is not endorsed or certified by TMDB."
