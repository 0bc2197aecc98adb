"""What an evaluation looks like on paper."""
