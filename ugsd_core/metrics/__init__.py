"""Metrics of captions: one module each, all with value, per-clip values and signature."""
