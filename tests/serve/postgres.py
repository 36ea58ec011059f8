"""A real PostgreSQL server on a loopback port, from Debian's packages, that a test can stop and start again."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import reserved_port

PASSWORD = "p@ss/word"  # noqa: S105  # of a server that lives as long as a test


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; None where PostgreSQL is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@dataclass(frozen=True)
class Postgres:
    """A server: its programs, its data, its port."""

    bin: Path
    data: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://multiplex:p%40ss%2Fword@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        try:
            self.run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self.data / "log"), "-o", options)
        except subprocess.CalledProcessError as error:
            error.add_note((self.data / "log").read_text())
            raise

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.data))

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs, which refuse to run as root."""
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        subprocess.run(
            [self.bin / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd="/",
            timeout=120,
        )


@contextmanager
def running() -> Iterator[Postgres]:
    """A new, empty server; skips the test where PostgreSQL is not installed."""
    if (found := programs()) is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with tempfile.TemporaryDirectory(prefix="multiplex-postgres-") as folder, reserved_port() as port:
        home = Path(folder)
        server = Postgres(found, home / "data", port)
        (home / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (home, home / "password"):
                shutil.chown(path, "postgres")
        login = ("-U", "multiplex", "-A", "scram-sha-256", "--pwfile", str(home / "password"))
        server.run("initdb", "-D", str(server.data), "--no-sync", *login)
        server.start()
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                server.stop()
