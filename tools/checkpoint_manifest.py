"""Writes the manifest of the embedded checkpoints anew, after one changed: ``python -m tools.checkpoint_manifest``."""

from __future__ import annotations

import json

from ugsd_core.models.loading import default_checkpoint
from ugsd_core.models.shipped import MANIFEST, make_manifest

if __name__ == "__main__":
    root = default_checkpoint("edge").parent
    text = json.dumps(make_manifest(root), ensure_ascii=False, indent=1)
    (root / MANIFEST).write_text(text + "\n", encoding="utf-8")
    print(root / MANIFEST)
