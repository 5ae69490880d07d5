"""Calibration of a pair: what the gate's signals are worth, and which threshold keeps a budget or a promise.

Clips of a development split are read once (`collect`) into plain records; everything else is arithmetic on them.
"""

from __future__ import annotations
