"""Corpora of speech with captions or emotion labels, all read into one clip record."""
