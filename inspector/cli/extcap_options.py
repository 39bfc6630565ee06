"""The options of ``extcap``: those that Wireshark gives, and those that a person sets there."""

from __future__ import annotations

from typing import NamedTuple

import click

from inspector.cli.options import gathered


class ExtcapOptions(NamedTuple):
    """What is to be captured, and what of it goes on: an option each, as ``--help`` says. ``delay``: in seconds."""

    interface: str
    packets: str
    delay: int
    vips: str
    key_log: str
    expression: str


class ExtcapQuestion(NamedTuple):
    """What Wireshark asks. ``source``: the interface that it is about. ``version``: of Wireshark."""

    lists_interfaces: bool
    source: str | None
    lists_links: bool
    lists_arguments: bool
    version: str | None


stream_options = gathered(
    ExtcapOptions,
    [
        click.option("--extcap-capture-filter", "expression", default="", metavar="FILTER", help="As for tcpdump."),
        click.option("--interface", default="any", show_default=True, metavar="IFACE", help="What is captured."),
        click.option(
            "--packets",
            type=click.Choice(["all", "incidents"]),
            default="all",
            show_default=True,
            help="All, with comments on them, or those of incidents alone.",
        ),
        click.option(
            "--delay",
            type=click.IntRange(1, 60),
            default=3,
            show_default=True,
            metavar="SECONDS",
            help="How long packets wait for what is said on them.",
        ),
        click.option("--vip", "vips", default="", metavar="HOST:PORT…", help="Services, with spaces between them."),
        click.option("--keylog", "key_log", default="", metavar="FILE", help="Secrets of encrypted handshakes."),
    ],
)

question_options = gathered(
    ExtcapQuestion,
    [
        click.option("--extcap-interfaces", "lists_interfaces", is_flag=True, help="Say which interface there is."),
        click.option("--extcap-interface", "source", metavar="NAME", help="The one that all else is about."),
        click.option("--extcap-dlts", "lists_links", is_flag=True, help="Say its link type."),
        click.option("--extcap-config", "lists_arguments", is_flag=True, help="Say what can be set."),
        click.option("--extcap-version", "version", metavar="VERSION", help="Of Wireshark."),
    ],
)
