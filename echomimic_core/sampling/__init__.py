"""From noise to latents: context windows, the trailing DDIM schedule, guidance and the loop."""
