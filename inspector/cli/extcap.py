"""``extcap``: what Wireshark runs to capture through this program, as extcap(4) has it."""

from __future__ import annotations

import click

from inspector.cli.extcap_options import ExtcapOptions, ExtcapQuestion, question_options, stream_options
from inspector.errors import UsageError


@click.command(
    "extcap",
    short_help="What Wireshark runs to capture through this program.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@question_options
@stream_options
@click.option("--capture", "captures", is_flag=True, help="Capture; without, say what is wrong with the filter.")
@click.option("--fifo", metavar="FILE", help="The pipe that packets go into, as pcapng.")
def extcap_command(question: ExtcapQuestion, options: ExtcapOptions, captures: bool, fifo: str | None) -> None:
    """Run by Wireshark, to capture through this program; "inspector wireshark install" puts it there.

    \b
    tshark -i inspector
    tshark -i inspector -o extcap.inspector.interface:eth0 -o extcap.inspector.vip:10.0.0.5:8081

    Who may not capture does so by dumpcap, where that may.
    """
    from inspector.live.wireshark import sentences

    if question.lists_interfaces:
        click.echo("\n".join(sentences.interface_sentences()))
        return
    if question.source != sentences.SOURCE:
        raise UsageError(f"--extcap-interface {question.source or ''}: there is {sentences.SOURCE} alone")
    if question.lists_links:
        click.echo("\n".join(sentences.link_sentences()))
    elif question.lists_arguments:
        from inspector.live.sources.interfaces import interfaces

        click.echo("\n".join(sentences.argument_sentences(interfaces())))
    elif captures:
        if not fifo:
            raise UsageError("--capture: --fifo FILE is missing")
        from inspector.cli.extcap_capture import capture_into

        capture_into(fifo, options)
    else:
        click.echo(_filter_problem(options.expression), nl=False)


def _filter_problem(expression: str) -> str:
    """What is wrong with a filter; empty where nothing is, or nothing can tell."""
    from inspector.live.sources.libpcap import filter_problem
    from inspector.live.sources.pcap_library import pcap_library

    try:
        return filter_problem(pcap_library(), expression)
    except ImportError:
        return ""
