"""Certificates for tests, made where they are needed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import trustme

__all__ = ["Authority"]


class Authority:
    """An authority of one's own.

    Attributes:
        file: Its certificate in PEM, for those who trust it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self._folder = folder
        self.file = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, *names: str, until: datetime | None = None, stem: str = "own") -> tuple[Path, Path]:
        """Certificate chain and key for names or addresses; the same stem overwrites."""
        leaf = self._ca.issue_cert(*names, not_after=until, key_type=trustme.KeyType.ECDSA)
        certificate, key = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        key.touch(mode=0o600)
        key.write_bytes(leaf.private_key_pem.bytes())
        return certificate, key
