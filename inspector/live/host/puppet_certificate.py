"""The certificate by which this host is known to Puppet: where Puppet keeps it, with its key and authority.

Only looks: no program of Puppet's is run, and below the directory of its configuration no link is followed.
"""

from __future__ import annotations

import configparser
import contextlib
import errno
import glob
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from inspector.system.plain_file import open_plain

ROOT = "/"

CONFIGURED = ("etc/puppetlabs/puppet", "etc/puppet")
"""Where ``puppet.conf`` and, below it, ``ssl`` stand (Puppet's configuration reference, ``confdir`` and ``ssldir``)."""

BEFORE_PUPPET_4 = "var/lib/puppet/ssl"
"""``ssldir`` beside ``/etc/puppet``."""

OF_A_USER = ".puppetlabs/etc/puppet"
"""The same for a user other than root, below the home."""

SECTIONS = ("main", "server", "master", "agent")
CERTNAME = re.compile(r"[a-z0-9_][a-z0-9._-]{0,252}")
"""As Puppet takes them; they lead nowhere else."""

CONFIGURATION_BYTES = 1 << 20


class PuppetCertificate(NamedTuple):
    """``certificate``, ``key`` and ``authorities``: paths of PEM files; ``authorities`` "" where there is none.
    ``obstacle``: which of them this user cannot use, and why as the system says it; None where all can be.
    """

    certificate: str
    key: str
    authorities: str
    obstacle: tuple[str, str] | None = None


def puppet_certificate(root: str = "", home: str = "~", host: str = "") -> PuppetCertificate | None:
    """The first that this user can use, else the first that is there; None where there is none. ``root``: where the
    file system begins, "" for ``ROOT``; ``home``: the user's; ``host``: the name of this host, "" for what it says.
    """
    base, user = Path(root or ROOT), os.path.expanduser(home).strip("/")
    known = list(_certificates(base, user, (host or socket.gethostname()).lower()))
    return next((one for one in known if one.obstacle is None), known[0] if known else None)


def _certificates(base: Path, home: str, host: str) -> Iterator[PuppetCertificate]:
    places = [(configuration, f"{configuration}/ssl") for configuration in (*CONFIGURED, f"{home}/{OF_A_USER}")]
    for configuration, folder in (*places, (CONFIGURED[-1], BEFORE_PUPPET_4)):
        names = [*_configured_names(base / configuration / "puppet.conf"), *_names_of(host, base / folder / "certs")]
        for name in dict.fromkeys(names):
            if CERTNAME.fullmatch(name) and (one := _certificate(base / folder, name)) is not None:
                yield one


def _configured_names(path: Path) -> Iterator[str]:
    """``certname`` of each section of ``puppet.conf``."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    with contextlib.suppress(OSError, configparser.Error):
        with open_plain(path) as file:
            parser.read_string(file.read(CONFIGURATION_BYTES).decode("utf-8", "replace"))
        for section in SECTIONS:
            if parser.has_option(section, "certname"):
                yield parser[section]["certname"].strip().lower()


def _names_of(host: str, folder: Path) -> Iterator[str]:
    """The host's name, which is the usual one; where it has no domain, with each that a certificate is there for."""
    yield host
    if "." not in host:
        with contextlib.suppress(OSError):
            yield from sorted(path.stem for path in folder.glob(f"{glob.escape(host)}.*.pem"))


def _certificate(folder: Path, name: str) -> PuppetCertificate | None:
    """None where no certificate of that name is there."""
    certificate, key = folder / "certs" / f"{name}.pem", folder / "private_keys" / f"{name}.pem"
    authorities = folder / "certs" / "ca.pem"
    obstacles = {path: _obstacle(folder, path) for path in (certificate, key, authorities)}
    if _is_absent(obstacles[certificate]):
        return None
    if _is_absent(obstacles[authorities]):
        del obstacles[authorities]
    return PuppetCertificate(
        str(certificate),
        str(key),
        str(authorities) if authorities in obstacles else "",
        next(
            ((str(path), error.strerror or "unreadable") for path, error in obstacles.items() if error is not None),
            None,
        ),
    )


def _is_absent(error: OSError | None) -> bool:
    return error is not None and error.errno in (errno.ENOENT, errno.ENOTDIR)


def _obstacle(folder: Path, path: Path) -> OSError | None:
    """Why a file cannot be read; None where it can. ``folder``: from there on no link is followed."""
    try:
        if any(stat.S_ISLNK(os.lstat(part).st_mode) for part in (folder, path.parent, path)):
            return OSError(errno.ELOOP, "a link, which is not followed")
        open_plain(path).close()
    except OSError as error:
        return error
    return None
