"""A verifier whose decoder is a vLLM server: the same verdicts from the log-probabilities that it tells.

schema.py     request and answer of its token-in-token-out endpoint
client.py     HTTP, and what may go wrong with it
side.py       what stays here of a checkpoint: tokenizer, prompts, sizes; no weights
positions.py  what is known of one position: everything, or the best few
verifier.py   the verifier
"""
