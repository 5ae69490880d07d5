"""Uncertainty-guided speculative decoding for speech emotion captioning: the engine, without any user interface."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
