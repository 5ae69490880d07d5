"""Evaluation of the pair on held-out speakers; `tools.evaluate_pair` is the command."""

from __future__ import annotations
