"""``wireshark``: a profile and a capture source for the Wireshark of whoever runs it."""

from __future__ import annotations

import shlex

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
    launcher = launcher_of(folders)
    there = None if folders.elsewhere is None else folders.elsewhere / launcher.name
    if there is not None and (action == "install" or there.exists()):
        command = ["install", "-m", "755", str(launcher), str(there)] if action == "install" else ["rm", str(there)]
        click.echo(
            "This Wireshark looks for capture sources in one directory alone, which is the system's:\n"
            f"    sudo {safe_text(shlex.join(command), 4_000)}"
        )
