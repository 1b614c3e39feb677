"""What one member hands over: an account export or an RSS feed, as one rating history or as a data set."""
