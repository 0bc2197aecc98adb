"""From videos to shards, and from shards to samples."""
