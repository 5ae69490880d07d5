"""A Hugging Face Space made from this checkout: ``make space OUT=DIR`` (docs/space.md)."""
