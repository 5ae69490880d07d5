"""Metrics of captions: one module each, all with value, per-clip values and signature.

`docs/metrics.md` has every recipe. ``METRICS`` names them, ``score_pairs`` scores by several at once.
"""

from __future__ import annotations

from ugsd_core.metrics.registry import METRICS, Metric, metric_names, score_pairs, unavailable
from ugsd_core.metrics.score import CaptionPair, MetricScore, mean_score

__all__ = [
    "METRICS",
    "CaptionPair",
    "Metric",
    "MetricScore",
    "mean_score",
    "metric_names",
    "score_pairs",
    "unavailable",
]
