"""The graph's face: one file per stage, schema and glue only."""
