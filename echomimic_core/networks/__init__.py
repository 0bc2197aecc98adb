"""The public feature networks behind the metrics, in plain torch, with the parameter names of their public weights."""
