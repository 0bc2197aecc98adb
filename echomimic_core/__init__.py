"""Everything that is EchoMimicV2 (arXiv 2411.10061), in plain torch: usable without ComfyUI."""
