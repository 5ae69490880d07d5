"""Benchmarks: what the engine costs, side by side with what it is compared with, on the machine it runs on."""
