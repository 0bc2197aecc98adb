"""The phase-specific denoising loss and its parts."""
