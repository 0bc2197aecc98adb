"""Files of weights, poses and tables: read without running code, written whole or not at all."""
