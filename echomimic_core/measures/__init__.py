"""Measures of single clips that need no network and no reference: training watches them, evaluation reports them."""
