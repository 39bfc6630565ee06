"""``schema``: the JSON Schema of the analysis."""

from __future__ import annotations

import click


@click.command("schema", short_help="The JSON Schema of the analysis.")
def schema_command() -> None:
    """Print the JSON Schema of what analyze -T json writes."""
    from inspector.reports.json_schema import schema

    click.echo(schema())
