"""``doctor``: what live capture needs on this machine."""

from __future__ import annotations

import click

from inspector.errors import NotPermittedError


@click.command("doctor", short_help="What live capture needs here.")
@click.option(
    "--recipe", "recipe_wanted", is_flag=True, help="Print the tcpdump line for somebody who may run nothing else."
)
def doctor_command(recipe_wanted: bool) -> None:
    """Say what live capture needs here and what is missing, with the command that mends it. Exit status 4 where this
    user cannot capture.
    """
    from inspector.live.host.doctor import diagnosis, lines, recipe
    from inspector.live.host.puppet import look
    from inspector.text.safe import safe_text

    host = look()
    if recipe_wanted:
        click.echo(recipe(host), nl=False)
        return
    diagnosed = diagnosis(host)
    click.echo(lines(diagnosed.checks, lambda text: safe_text(text, 500)), nl=False)
    if not diagnosed.can_capture:
        raise NotPermittedError("this user cannot capture live")
