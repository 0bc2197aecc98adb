"""The networks in training: their start, what is open, averages, LoRA."""
