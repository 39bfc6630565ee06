"""``wireshark``: a profile and a capture source for the Wireshark of whoever runs it."""

from __future__ import annotations

import shlex
from pathlib import Path

import click


@click.command("wireshark", short_help="Put a profile and a capture source into Wireshark.")
@click.argument("action", type=click.Choice(["install", "remove", "folders"]))
@click.option("--force", "forced", is_flag=True, help="Replace or remove also what was changed since it was written.")
def wireshark_command(action: str, forced: bool) -> None:
    """Put a profile and a capture source into your Wireshark, take them away again, or say where they lie.

    \b
    inspector wireshark install
    wireshark -C Inspector -r FILE

    The profile has columns, colouring rules and filter buttons for sessions, certificates and the comments that reports
    and live captures write on packets. The capture source is the interface "inspector": Wireshark captures through this
    program, with comments, or nothing but the packets of incidents. It runs what extcap says.
    """
    from inspector.live.wireshark.folders import wireshark_folders
    from inspector.live.wireshark.installing import install, launcher_of, profile_of, remove
    from inspector.text.safe import path_text, safe_text

    folders = wireshark_folders()
    if action == "folders":
        click.echo(safe_text(path_text(str(profile_of(folders))), 4_000))
        click.echo(safe_text(path_text(str(launcher_of(folders))), 4_000))
        return
    for one in (install if action == "install" else remove)(folders, forced=forced):
        if one.became == "missing":
            continue
        remedy = f": it was changed since it was written; --force {action}s it" if one.became == "kept" else ""
        click.echo(f"{one.became}: {safe_text(path_text(str(one.path)), 4_000)}{remedy}")
    if folders.elsewhere is not None:
        _for_all(launcher_of(folders), folders.elsewhere, installs=action == "install")


def _for_all(launcher: Path, folder: Path, *, installs: bool) -> None:
    """What root may do where Wireshark looks in a directory of the system's alone."""
    from inspector.live.wireshark.installing import unsafe_for_all
    from inspector.text.safe import path_text, safe_text

    there = folder / launcher.name
    unsafe = unsafe_for_all() if installs else ""
    lines = []
    if unsafe:
        lines += [
            "Ours must not lie there: whoever runs Wireshark, root too, would run what others than root may change:",
            f"    {safe_text(path_text(unsafe), 4_000)}",
            "Install Inspector as root, from its package or into /opt/inspector, and run this with that one.",
        ]
    elif installs:
        lines.append(_as_root("install", "-m", "755", str(launcher), str(there)))
    if there.exists() and (unsafe or not installs):
        lines += ["What lies there now is removed by:", _as_root("rm", str(there))]
    if lines:
        click.echo("This Wireshark looks for capture sources in one directory alone, which is the system's.")
        click.echo("\n".join(lines))


def _as_root(*command: str) -> str:
    from inspector.text.safe import safe_text

    return f"    sudo {safe_text(shlex.join(command), 4_000)}"
