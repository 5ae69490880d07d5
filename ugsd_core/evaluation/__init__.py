"""Batches of clips captioned by several systems: resumable runs, their figures, reports and sweeps."""
