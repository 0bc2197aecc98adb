"""Training of EchoMimicV2 (§3): data, APDH schedule, HPA, PhD loss and the loop around them.

`python -m echomimic_core.training.prepare VIDEOS OUT`, then `python -m echomimic_core.training CONFIG`.
"""
