"""How good is a clip? The paper's numbers, each with definition and source: `python -m echomimic_core.evaluation`."""
