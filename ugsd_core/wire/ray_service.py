"""The verifier as a Ray Serve deployment: replicas, autoscaling, rolling updates. Needs the extra *ray*.

    ugsd verifier --ray --replicas 2                                   # here, with a Ray of its own
    serve deploy containers/ray-serve.yaml                             # on a cluster; `verifier_app` builds it

One replica holds one model (`ugsd_core.wire.ray_replica`). A WebSocket is one ongoing request of Serve for as long as
it is open, and stays with its replica.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ugsd_core.errors import OptionError, WireError
from ugsd_core.wire.door import MAX_SESSIONS
from ugsd_core.wire.ray_replica import ReplicaSettings, VerifierReplica, replica_app

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = [
    "NAME",
    "Scale",
    "need_ray",
    "ray_running",
    "replica_facts",
    "run_app",
    "serving",
    "this_replica",
    "verifier_app",
]

#: Of the application and of its deployment.
NAME = "verifier"
#: Open WebSockets to a replica that autoscaling aims at: as many as blocks that fit into one forward pass.
TARGET_SESSIONS = 32
#: Handshakes that may wait at a proxy; an edge waits for one 5 s at most.
MOST_WAITING = 256
#: A replica that is to end gets so much longer than captions get, for the answers that are on their way.
BEYOND_GRACE_S = 10.0
#: Ray's shared memory for objects, of which a verifier keeps none; Ray's least is 75 MB.
OBJECT_STORE_BYTES = 100_000_000


def need_ray() -> None:
    """See that Ray can be imported.

    Raises:
        OptionError: If it can't.
    """
    from ugsd_core.parts import install_line, installed

    if not installed("ray"):
        raise OptionError(
            f"this needs Ray, which is not installed; type {install_line('ray')} (docs/how-to/past-one-machine.md)"
        )


@dataclass(frozen=True, slots=True)
class Scale:
    """How many replicas, and what each gets.

    Attributes:
        replicas: A fixed number; with ``most`` the least.
        most: Autoscaling goes up to so many; None scales nothing.
        cpus, gpus: Of each replica, as Ray counts them.

    Raises:
        OptionError: If that is no number of replicas.
    """

    replicas: int = 2
    most: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.replicas < 1 or (self.most is not None and self.most < self.replicas):
            raise OptionError("a verifier needs at least 1 replica, and at most as many as --autoscale MIN,MAX allows")
        if self.cpus < 0 or self.gpus < 0:
            raise OptionError("a replica can't have less than no processor")

    def options(self, grace_s: float) -> dict[str, Any]:
        """Of the deployment, as Serve names them.

        Upscaling waits 10 s, as long as a small model loads: edges that come together ask for replicas once.
        Downscaling waits 5 min, because it costs: the edges of the replica that goes have to connect and be read anew.
        """
        fixed: dict[str, Any] = {"num_replicas": self.replicas}
        if self.most is not None:
            fixed = {
                "autoscaling_config": {
                    "min_replicas": self.replicas,
                    "max_replicas": self.most,
                    "target_ongoing_requests": TARGET_SESSIONS,
                    "upscale_delay_s": 10.0,
                    "downscale_delay_s": 300.0,
                    "look_back_period_s": 10.0,
                }
            }
        return fixed | {
            "name": NAME,
            "ray_actor_options": {"num_cpus": self.cpus, "num_gpus": self.gpus},
            # More handshakes wait at the proxy. Far above the aim: when a replica is lost, those that are left have to
            # take its sessions all at once.
            "max_ongoing_requests": MAX_SESSIONS,
            "max_queued_requests": MOST_WAITING,
            "graceful_shutdown_timeout_s": grace_s + BEYOND_GRACE_S,
            "graceful_shutdown_wait_loop_s": 0.5,
            "health_check_period_s": 5.0,
            "health_check_timeout_s": 30.0,
            "logging_config": {"enable_access_log": False},
        }


def verifier_app(args: dict[str, Any]) -> Application:
    """The application; ``import_path: ugsd_core.wire.ray_service:verifier_app`` in a file for ``serve deploy``.

    Args:
        args: Fields of `ReplicaSettings`, and ``scale``: those of `Scale`. A ``deployments`` section of the file
            overrides what follows from ``scale``.

    Raises:
        OptionError: If Ray is not installed, or a setting has no meaning.
    """
    need_ray()
    from ray import serve

    values = dict(args)
    scale = Scale(**values.pop("scale", {}))
    settings = ReplicaSettings.from_dict(values)
    replica = serve.ingress(_app)(VerifierReplica)
    return serve.deployment(replica, **scale.options(settings.grace_s)).bind(settings.to_dict())


def _app() -> Any:
    """Serve calls it in each replica."""
    return replica_app()


# ── In a replica ──────────────────────────────────────────────────────────────────────────────────────────────────────


def this_replica() -> VerifierReplica:
    """The replica that this process is."""
    from ray import serve

    replica: VerifierReplica = serve.get_replica_context().servable_object
    return replica


def replica_facts() -> tuple[str, Callable[[], bool]]:
    """The name of the replica that this process is, and a function that says whether it is to end.

    Serve takes a replica that is to end out of its routes, and then waits until it has no request. It has no hook that
    says so to the replica (2.60), whose WebSockets would stay open; so the state is read where Serve keeps it.
    """
    import ray
    from ray import serve

    name = serve.get_replica_context().replica_id.unique_id
    worker = ray._private.worker.global_worker
    actor = worker.actors.get(worker.actor_id)
    inner: Any = getattr(actor, "_replica_impl", None)
    if not hasattr(inner, "_shutting_down"):
        raise OptionError(f"Ray {ray.__version__} was not tested with UGSD Studio; docs/how-to/past-one-machine.md")
    return name, lambda: bool(inner._shutting_down)


# ── Beside the replicas ───────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def ray_running(address: str, cpus: int) -> Iterator[None]:
    """Connected to a cluster, or to a Ray of our own, which ends behind it.

    Args:
        address: ``"local"`` starts one here; ``"auto"``, ``HOST:PORT`` or ``ray://HOST:10001`` connects.
        cpus: How many the one started here says it has.

    Raises:
        OptionError: If Ray is not installed.
        WireError: If there is no cluster at that address.
    """
    need_ray()
    import ray

    local = address == "local"
    if local:
        # Ray would tell its makers that it was started; this program tells nobody anything unasked.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        more: dict[str, Any] = {
            "num_cpus": cpus,
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
        }
    else:
        more = {}
    try:
        ray.init(address, namespace="ugsd", log_to_driver=False, logging_level=logging.WARNING, **more)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if local:
            raise WireError(f"Ray could not be started here ({error}).") from error
        raise WireError(f"There is no Ray cluster at {address!r} ({error}); `ray status` says where one is.") from error
    try:
        yield
    finally:
        ray.shutdown()


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise WireError(f"Cannot serve on {host} ({error.strerror or error}).") from error
        return int(probe.getsockname()[1])


def run_app(settings: ReplicaSettings, scale: Scale) -> None:
    """Deploy, or replace what is deployed replica by replica; waits until every replica serves.

    Raises:
        WireError: If the replicas do not start.
    """
    from ray import serve

    try:
        serve.run(verifier_app(settings.to_dict() | {"scale": _values(scale)}), name=NAME, route_prefix="/")
    except RuntimeError as error:
        raise WireError(f"The replicas did not start: {_reason(error)}") from error


@contextlib.contextmanager
def serving(
    settings: ReplicaSettings,
    scale: Scale,
    *,
    address: str = "local",
    host: str = "127.0.0.1",
    port: int = 0,
    tls: tuple[Path, Path] | None = None,
) -> Iterator[str]:
    """A verifier of several replicas behind one address, which ends behind it.

    Args:
        address: As `ray_running` takes it.
        host, port: Where Serve's proxy listens; 0 picks a free port here.
        tls: Certificate and key, which every node with a proxy has under these names; None speaks plain ``ws://``.

    Yields:
        ``ws://…``

    Raises:
        OptionError: If Ray is not installed, or a setting has no meaning.
        WireError: If the cluster is not there, or the replicas do not start.
    """
    most = scale.most or scale.replicas
    # One processor more than replicas: while one is replaced, the new one may start before the old one has ended.
    with ray_running(address, max(1, ceil(scale.cpus * (most + 1)))):
        from ray import serve

        port = port or _free_port(host)
        options: dict[str, Any] = {"host": host, "port": port}
        if tls is not None:
            options |= {"ssl_certfile": str(tls[0]), "ssl_keyfile": str(tls[1])}
        serve.start(http_options=options, logging_config={"enable_access_log": False})
        try:
            run_app(settings, scale)
            yield "{}://{}:{}".format("ws" if tls is None else "wss", f"[{host}]" if ":" in host else host, port)
        finally:
            serve.delete(NAME, _blocking=True) if address != "local" else serve.shutdown()


def _values(scale: Scale) -> dict[str, Any]:
    return {"replicas": scale.replicas, "most": scale.most, "cpus": scale.cpus, "gpus": scale.gpus}


def _reason(error: BaseException) -> str:
    """The last line of what Serve says, which is the replica's own error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
