"""Files of weights: opened safely, found, described and written."""
