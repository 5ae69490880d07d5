"""Health check of a container: exit code 0 if its program answers on a port of its own.

``python health.py 8765 /healthz`` asks the verifier, ``python health.py 7860`` the page. Any answer but a server error
counts.
"""

from __future__ import annotations

import http.client
import sys


def healthy(port: int, path: str = "/") -> bool:
    """Whether something on this machine answers HTTP on a port within four seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if healthy(int(sys.argv[1]), *sys.argv[2:]) else 1)
