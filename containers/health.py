"""Health check of a container: exit code 0 if its program answers on a port of its own, ``python health.py 8765``.

Any answer but a server error counts: the verifier tells a plain HTTP request to use WebSocket, and is well.
"""

from __future__ import annotations

import http.client
import sys


def healthy(port: int) -> bool:
    """Whether something on this machine answers HTTP on a port within four seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if healthy(int(sys.argv[1])) else 1)
