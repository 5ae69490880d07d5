"""How the embedded checkpoints are made: corpora, cues, captions, tokenizer, models, training and its figures.

Everything here needs the ``train`` extra; nothing outside this package imports it except the command line, which
does so lazily.
"""
