"""The messages of one rung: decoded as a tree, with the bytes of what is selected in hex beside it."""

from __future__ import annotations

import hashlib
import textwrap
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static, Tree
from textual.widgets.tree import TreeNode
from textual.worker import Worker, get_current_worker

from inspector.errors import InspectorError
from inspector.facts import FRAME_BITS, Event
from inspector.packets.messages import MESSAGE, RawMessage
from inspector.reports.lines import Line
from inspector.text.safe import safe_text
from inspector.tls.history import RECORDS, Letter
from inspector.tls.tree_nodes import ELEMENT, MALFORMED, Node
from inspector.tracking.authorities import read_authorities
from inspector.tui.app_state import AppState
from inspector.tui.hexdump import hexdump
from inspector.tui.keybar import KeyBar
from inspector.tui.lines import LineView
from inspector.tui.page import Page
from inspector.tui.shell import Target
from inspector.tui.styles import content
from inspector.tui.wireshark import WIRESHARK_KEY

TreeItem = tuple[RawMessage, Node]
VALUE = 160
MICROSECONDS = 6


def of_rung(messages: list[RawMessage], events: tuple[Event, ...]) -> list[RawMessage]:
    """The messages that a rung stands for: those of its side in its frames; only its own kind where records are told by
    kind.
    """
    wanted = {(e.frame, e.from_client, e.letter if e.letter in RECORDS else MESSAGE, e.decrypted) for e in events}
    return [m for m in messages if (m.frame, m.from_client, m.letter, m.decrypted) in wanted]


class FieldTree(Tree[TreeItem]):
    """The tree; Space picks here as on the ladder, Enter opens and closes a branch. Left and right are the screen's,
    however wide the tree is; with Shift they show the rest of it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space",
            "screen.pick",
            "Pick",
            tooltip="Pick this message; a second pick shows the difference of the two",
            id="pick",
        ),
        Binding(
            "shift+left",
            "aside(-1)",
            "To the left",
            show=False,
            tooltip="What stands left of the screen, where a field is wider than it",
            id="aside_left",
        ),
        Binding(
            "shift+right",
            "aside(1)",
            "To the right",
            show=False,
            tooltip="The rest of a field that is wider than the screen",
            id="aside_right",
        ),
    ]

    def action_aside(self, step: int) -> None:
        """Half a screen to the side, as pagers do."""
        self.scroll_relative(x=step * max(self.size.width // 2, 1), animate=False)


class MessageScreen(Page):
    """``targets``: all rungs of the page that led here; left and right go through them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", tooltip="To the ladder", id="back"),
        Binding("left", "turn(-1)", "Before", priority=True, tooltip="The messages of the rung before", id="before"),
        Binding("right", "turn(1)", "Next", priority=True, tooltip="The messages of the next rung", id="after"),
        WIRESHARK_KEY,
    ]

    def __init__(self, state: AppState, targets: list[Target], index: int) -> None:
        super().__init__(state)
        self._targets = targets
        self._index = index
        self._read: dict[int, list[RawMessage]] = {}

    def compose(self) -> ComposeResult:
        """Tree and bytes beside each other, or below where it is narrow."""
        yield Static(id="heading")
        with Container(id="decoded"):
            tree = FieldTree("", id="fields")
            tree.show_root = False
            tree.guide_depth = 2
            yield tree
            yield LineView(id="bytes")
        yield KeyBar()

    def on_mount(self) -> None:
        self._show()

    def on_resize(self) -> None:
        """The bytes are laid out anew."""
        self.set_class(self.size.width >= 110, "-wide")
        self.call_after_refresh(self._mark)

    @property
    def target(self) -> Target:
        """The rung in view."""
        return self._targets[self._index]

    def action_wireshark(self) -> None:
        """At the rung in view."""
        self.inspector.go_on_in_wireshark(self.target.frame)

    def _show(self) -> None:
        target = self.target
        frame = target.rung.frame
        at = self.state.zone.moment(target.rung.ns, MICROSECONDS)
        lines: list[Line] = [
            [
                (safe_text(target.title), "head"),
                (f"   frame {frame}   {self._index + 1} of {len(self._targets)}", "dim"),
            ],
            [(f"{at}  {self._way(target)}  {safe_text(target.rung.text)}", "")],
        ]
        self.query_one("#heading", Static).update(content(lines))
        key = id(target.connection)
        if key in self._read:
            self._fill()
        else:
            tree = self.query_one("#fields", Tree)
            tree.clear()
            tree.root.add_leaf(Text("reading the capture again …"))
            tree.root.expand()
            self.query_one("#bytes", LineView).show([])
            self._load(target)

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _load(self, target: Target) -> None:
        worker: Worker[None] = get_current_worker()
        try:
            messages = self.state.messages(target.connection, lambda: worker.is_cancelled)
        except (InspectorError, OSError) as error:
            self.app.call_from_thread(self._fail, safe_text(str(error)))
            return
        if not worker.is_cancelled:
            self._read[id(target.connection)] = messages
            self.app.call_from_thread(self._fill)

    def _fail(self, text: str) -> None:
        tree = self.query_one("#fields", Tree)
        tree.clear()
        for line in textwrap.wrap(f"The bytes cannot be shown: {text}", max(tree.size.width - 6, 20)):
            tree.root.add_leaf(Text(line))

    @staticmethod
    def _way(target: Target) -> str:
        way = "client to server" if target.rung.from_client else "server to client"
        return f"{way}, decrypted" if target.rung.visibility == "decrypted" else way

    def messages(self) -> list[RawMessage]:
        """Those of the rung in view; none while they are being read."""
        return of_rung(self._read.get(id(self.target.connection), []), self.target.rung.events)

    def _fill(self) -> None:
        if not self.is_mounted:
            return
        tree: Tree[TreeItem] = self.query_one("#fields", Tree)
        tree.clear()
        tree.root.expand()
        messages = self.messages()
        for number, message in enumerate(messages):
            branch = tree.root.add(self._labelled(message.tree), data=(message, message.tree), expand=number == 0)
            self._grow(branch, message, message.tree)
        if not messages:
            close = "".join(e.letter for e in self.target.rung.events)
            meanings: dict[str, str] = {
                Letter.FIN: "TCP FIN: the side has no more to send",
                Letter.RST: "TCP RST: the connection is gone",
            }
            meaning = meanings.get(close, "These bytes are not in the capture, or are encrypted.")
            tree.root.add_leaf(Text(meaning))
        tree.cursor_line = 0
        tree.focus()
        self.call_after_refresh(self._mark)

    def _grow(self, branch: TreeNode[TreeItem], message: RawMessage, node: Node) -> None:
        for child in node.children:
            parent = (message, child)
            if child.children:
                self._grow(
                    branch.add(self._labelled(child), data=parent, expand=len(child.children) < 12), message, child
                )
            else:
                branch.add_leaf(self._labelled(child, message.data, node.name), data=parent)

    def _labelled(self, node: Node, data: bytes = b"", parent: str = "") -> Text:
        """A field and its value. ``parent``: the name of the field that it stands in."""
        value = node.value
        end = node.offset + node.length
        if parent == "certificate_authorities":
            value = next(iter(read_authorities(data[node.offset : end]).names), value)
        if parent == "certificate_list" and node.field == ELEMENT:
            known = self.state.now.case.certificates.get(hashlib.sha256(data[node.start : end]).digest())
            value = f"{known.subject}  ({value})" if known else value
        text, style = safe_text(value, VALUE), "bold red" if node.field == MALFORMED else "dim"
        return Text.assemble((safe_text(node.name, 60), "bold"), "  ", (text, style))

    def on_tree_node_highlighted(self) -> None:
        self._mark()

    def _mark(self) -> None:
        tree: Tree[TreeItem] = self.query_one("#fields", Tree)
        page = self.query_one("#bytes", LineView)
        branch = tree.cursor_node.data if tree.cursor_node is not None else None
        if branch is None:
            page.show([])
            return
        message, node = branch
        if not message.data:
            page.show([[("encrypted: no bytes to show", "dim")]])
            return
        lines, first = hexdump(message.data, node.offset, node.length, page.size.width or 60)
        where = (
            f"{node.name}   offset {node.offset}, {node.length:,} bytes   frame {message.frame & (1 << FRAME_BITS) - 1}"
        )
        page.show([[(safe_text(where), "dim")], *lines])
        page.scroll_to(y=max(first - 2, 0), animate=False)

    def action_turn(self, step: int) -> None:
        if 0 <= self._index + step < len(self._targets):
            self._index += step
            self._show()

    def action_pick(self) -> None:
        """Pick what the cursor is in, for a comparison."""
        tree: Tree[TreeItem] = self.query_one("#fields", Tree)
        branch = tree.cursor_node.data if tree.cursor_node is not None else None
        if branch is not None:
            self.inspector.picked(f"{branch[0].tree.name}, frame {branch[0].frame & (1 << FRAME_BITS) - 1}", branch[0])

    def to_copy(self) -> tuple[str, str]:
        """The message under the cursor, as text."""
        lines: list[str] = []

        def add(node: Node, depth: int) -> None:
            lines.append(f"{'  ' * depth}{safe_text(node.name)}: {safe_text(node.value, 4000)}")
            for child in node.children:
                add(child, depth + 1)

        for message in self.messages():
            add(message.tree, 0)
            if message.data:
                lines.append(message.data.hex())
        return "the decoded messages", "\n".join(lines) + "\n"
