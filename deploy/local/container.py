"""The private Postgres server in a Docker container, where an engine is all that the machine has."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local.commands import LocalError, output_of, run
from deploy.local.ports import free_port
from deploy.local.server import SETTINGS, SUPERUSER, UNSAFE_SETTINGS, PrivateServer

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

IMAGE = "mapable-cdc-local-postgres"
BUILD_CONTEXT = Path(__file__).resolve().parent
READY_TIMEOUT_S = 60
# the image's own locale would sort text otherwise than the other servers do
INITDB_ARGUMENTS = "--locale=C.UTF-8 --encoding=UTF8"


def engine_answers() -> bool:
    """Return whether a Docker engine is there and lets us in."""
    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], check=False, capture_output=True, timeout=10).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def remove_image() -> None:
    """Remove the image that servers are made of; it stays while another clone's container needs it."""
    run(["docker", "image", "rm", IMAGE])


class ContainerPostgres(PrivateServer):
    """The server of one clone: a container and a volume, both named after the clone's path."""

    def __init__(self, root: Path) -> None:
        self._password_file = root / ".local" / "container.password"
        self._name = f"mapable-cdc-{hashlib.sha256(os.fsencode(root)).hexdigest()[:12]}"

    @property
    def port(self) -> int:
        # such as 127.0.0.1:54321
        return int(output_of(["docker", "port", self._name, "5432/tcp"]).split("\n")[0].rsplit(":", 1)[1])

    def dsn(self, database: str = "postgres") -> str:
        password = self._password_file.read_text(encoding="ascii")
        return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{self.port}/{database}"

    def running(self) -> bool:
        asked = run(["docker", "inspect", "--format", "{{.State.Running}}", self._name])
        return asked.stdout.strip() == "true"

    def start(self) -> None:
        if self.running():
            return
        if not self._password_file.exists():
            self._password_file.parent.mkdir(exist_ok=True)
            self._password_file.touch(mode=0o600)
            self._password_file.write_text(secrets.token_urlsafe(24), encoding="ascii")
        output_of(["docker", "build", "--quiet", "--tag", IMAGE, BUILD_CONTEXT])
        # made anew around the same volume: the port of last time may be taken
        run(["docker", "rm", "--force", self._name])
        command = ["docker", "run", "--detach", "--name", self._name, "--publish", f"127.0.0.1:{free_port()}:5432"]
        command += ["--volume", f"{self._name}:/var/lib/postgresql/data", "--env", "POSTGRES_PASSWORD"]
        command += ["--env", f"POSTGRES_INITDB_ARGS={INITDB_ARGUMENTS}"]
        password = self._password_file.read_text(encoding="ascii")
        # by name only on the command line, where every user of the machine could read it
        output_of([*command, IMAGE, *_arguments(SETTINGS)], env={**os.environ, "POSTGRES_PASSWORD": password})
        _wait_until_it_answers(self)

    def stop(self, mode: str = "fast") -> None:
        if self.running():
            # the image stops on SIGINT, Postgres' fast shutdown
            signal = "SIGQUIT" if mode == "immediate" else "SIGINT"
            output_of(["docker", "kill", "--signal", signal, self._name])
            output_of(["docker", "wait", self._name])

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        output_of(["docker", "start", self._name])
        _wait_until_it_answers(self)

    def destroy(self) -> None:
        if self._password_file.exists():
            run(["docker", "rm", "--force", self._name])
            run(["docker", "volume", "rm", "--force", self._name])
            self._password_file.unlink()

    def describe(self) -> str:
        return f"Postgres in the container {self._name} on port {self.port}"


class ThrowawayContainer(PrivateServer):
    """A server for one test session; testcontainers removes it even when the session is killed."""

    def __init__(self) -> None:
        self._port = free_port()
        self._password = secrets.token_urlsafe(24)
        self._container: DockerContainer | None = None

    @property
    def port(self) -> int:
        return self._port

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def running(self) -> bool:
        return self._container is not None

    def start(self) -> None:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.image import DockerImage

        image = DockerImage(path=BUILD_CONTEXT, tag=IMAGE, clean_up=False).build()
        container = DockerContainer(str(image)).with_env("POSTGRES_PASSWORD", self._password)
        container.with_env("POSTGRES_INITDB_ARGS", INITDB_ARGUMENTS)
        container.with_bind_ports("5432/tcp", ("127.0.0.1", self._port))  # type: ignore[arg-type] # docker's own pair
        container.with_command(_arguments({**SETTINGS, **UNSAFE_SETTINGS}))
        self._container = container.start()
        _wait_until_it_answers(self)

    def stop(self, mode: str = "fast") -> None:
        self.destroy()

    def restart(self, mode: str = "fast") -> None:
        if self._container is None:
            raise LocalError("the container is not running", hint="Start it first.")
        wrapped = self._container.get_wrapped_container()
        wrapped.kill(signal="SIGQUIT" if mode == "immediate" else "SIGINT")
        wrapped.wait()
        wrapped.start()
        _wait_until_it_answers(self)

    def destroy(self) -> None:
        if self._container is not None:
            self._container.stop()
            self._container = None

    def describe(self) -> str:
        return f"Postgres in a throw-away container on port {self.port}"


def _arguments(settings: Mapping[str, str]) -> list[str]:
    # inside the container the server must listen to the engine's network; only 127.0.0.1 of the host is published
    inside = {**settings, "listen_addresses": "*", "unix_socket_directories": "/var/run/postgresql"}
    return ["postgres", *(word for name, text in inside.items() for word in ("-c", f"{name}={text}"))]


def _wait_until_it_answers(server: PrivateServer) -> None:
    import psycopg

    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            # the image's first start runs a server on a socket only, so an answer over TCP is from the real one
            psycopg.connect(server.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline_s:
                raise LocalError("Postgres in the container does not answer", hint="Type: docker ps -a") from None
            time.sleep(0.2)
        else:
            return


