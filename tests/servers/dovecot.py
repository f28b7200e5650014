"""A real Dovecot that serves one mailbox by IMAP on a free loopback port; it can be killed and started again on it."""
# ruff: noqa: ASYNC240 - these small files hold nobody up: a test's loop has only the test

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.servers.ports import free_port
from tests.servers.process import program, until

USER, PASSWORD = "probe", "open-sesame-please"


@dataclass(slots=True)
class Dovecot:
    """One that listens. Mails are put into its Maildir as a delivery agent does it: written, then moved."""

    folder: Path
    port: int
    process: asyncio.subprocess.Process
    _count: int = 0

    def deliver(self, mail: bytes) -> None:
        """One more mail in the inbox."""
        self._count += 1
        name = f"{id(self)}.{os.getpid()}_{self._count}.here"
        maildir = self.folder / "mail"
        (maildir / "tmp" / name).write_bytes(mail)
        os.chown(maildir / "tmp" / name, *who())
        (maildir / "tmp" / name).rename(maildir / "new" / name)

    def flags(self) -> list[str]:
        """The names of all mails, with the folder that tells whether somebody has looked at them."""
        return sorted(
            f"{where}/{mail.name}" for where in ("new", "cur") for mail in (self.folder / "mail" / where).iterdir()
        )

    async def kill(self) -> None:
        """At once, with all its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()


def who() -> tuple[int, int]:
    """As whom it runs: Dovecot serves nothing as root."""
    if os.geteuid():
        return os.getuid(), os.getgid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


@asynccontextmanager
async def dovecot(
    folder: Path, port: int = 0, tls: tuple[Path, Path] | None = None, idle: bool = True
) -> AsyncIterator[Dovecot]:
    """Start with its mailbox in `folder`, which may be that of an earlier one; with (certificate, key) it has STARTTLS.

    Others must be able to enter the folder: where the tests are root, Dovecot is not.
    """
    for part in ("mail/cur", "mail/new", "mail/tmp", "run", "state"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    if not os.geteuid():
        folder.chmod(0o755)
        for part in ("mail", "mail/cur", "mail/new", "mail/tmp"):
            shutil.chown(folder / part, *who())
    port = port or free_port()
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    (folder / "dovecot.conf").write_text(_config(folder, port, tls, idle))
    (folder / "run" / "master.pid").unlink(missing_ok=True)
    log = folder / "dovecot.out"
    with log.open("wb") as words:
        process = await asyncio.create_subprocess_exec(
            *(program("dovecot"), "-F", "-c", str(folder / "dovecot.conf")),
            stdout=words,
            stderr=words,
            start_new_session=True,  # its children end with it, as a group
        )
    server = Dovecot(folder, port, process)
    try:
        await until(lambda: _greeting(port, process, folder), "the greeting of Dovecot")
        yield server
    finally:
        await server.kill()


async def _greeting(port: int, process: asyncio.subprocess.Process, folder: Path) -> bytes | None:
    if process.returncode is not None:
        told = [(folder / name).read_text() for name in ("dovecot.out", "dovecot.log") if (folder / name).exists()]
        raise RuntimeError(f"dovecot ended with {process.returncode}: {' '.join(told)[-2000:]}")
    with suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await asyncio.wait_for(reader.readline(), 5) or None
        finally:
            writer.close()
    return None


def _config(folder: Path, port: int, tls: tuple[Path, Path] | None, idle: bool) -> str:
    uid, gid = who()
    user, group = pwd.getpwuid(uid).pw_name, grp.getgrgid(gid).gr_name
    secure = f"ssl = yes\nssl_cert = <{tls[0]}\nssl_key = <{tls[1]}\n" if tls else "ssl = no\n"
    can = "" if idle else "imap_capability = IMAP4rev1\n"
    return f"""
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
disable_plaintext_auth = no
first_valid_uid = 0
auth_mechanisms = plain
mail_location = maildir:{folder}/mail
mailbox_idle_check_interval = 1 secs
{secure}{can}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
