"""Which connections of a window lead to which: by the session, by the client random, by the service.

Each connection that is added is removed with the same entry, so that at any time every name here is one of those
connections, and what they are known by is in their entries.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspector.live.window_entry import ServiceKey, WindowEntry

RECENT = 16
"""Of each service, so many of the last connections stand beside a new one when it is judged: they show how its client
behaves.
"""


@dataclass(slots=True)
class SessionUse:
    """Who was issued a session, and who resumed it first, as far as they are known. Never one connection: ``entry_of``
    holds that.
    """

    issuer: str | None = None
    resumer: str | None = None
    resumed_ns: int = 0


class Relations:
    """Of connections by their names. ``most``: addresses of which the names of services are known."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sessions: dict[bytes, SessionUse] = {}
        self._legs: dict[bytes, dict[str, None]] = {}
        self._recent: dict[ServiceKey, tuple[str, ...]] = {}
        self._named: dict[ServiceKey, list[ServiceKey]] = {}
        """The names under which an address answers, two at most: who gives no name there belongs to the only one."""

    def add(self, name: str, entry: WindowEntry) -> None:
        """A connection that is not known."""
        if entry.random:
            self._legs.setdefault(entry.random, {})[name] = None
        for key in entry.issued:
            self._sessions.setdefault(key, SessionUse()).issuer = name
        if entry.is_resumed:
            for key in entry.offered:
                use = self._sessions.setdefault(key, SessionUse())
                if use.resumer is None or entry.answer_ns < use.resumed_ns:
                    use.resumer, use.resumed_ns = name, entry.answer_ns

    def add_recent(self, name: str, entry: WindowEntry, address: ServiceKey) -> None:
        """It is the last one of its service. ``address``: of its server."""
        recent = self._recent.get(entry.service, ())
        if name not in recent:
            self._recent[entry.service] = (*recent[1 - RECENT :], name)
        if entry.service != address and (address in self._named or len(self._named) < self._most):
            names = self._named.setdefault(address, [])
            if entry.service not in names and len(names) < 2:
                names.append(entry.service)

    def remove(self, name: str, entry: WindowEntry) -> None:
        """A connection that was added so."""
        legs = self._legs.get(entry.random, {})
        legs.pop(name, None)
        if not legs:
            self._legs.pop(entry.random, None)
        for key in (*entry.issued, *entry.offered):
            use = self._sessions.get(key)
            if use is None:
                continue
            if use.issuer == name:
                use.issuer = None
            if use.resumer == name:
                use.resumer = None
            if use.issuer is None and use.resumer is None:
                del self._sessions[key]

    def remove_recent(self, name: str, entry: WindowEntry) -> None:
        """It is none of the last ones of its service any more."""
        recent = self._recent.get(entry.service, ())
        if name in recent:
            self._recent[entry.service] = tuple([one for one in recent if one != name])
            if len(recent) == 1:
                del self._recent[entry.service]

    def of_session(self, key: bytes) -> SessionUse:
        """Who was issued a session and who resumed it first."""
        return self._sessions.get(key) or SessionUse()

    def resumed_first(self, name: str, entry: WindowEntry) -> set[str]:
        """Where the sessions come from that this connection resumed first."""
        uses = (self.of_session(key) for key in entry.offered) if entry.is_resumed else ()
        return {use.issuer for use in uses if use.resumer == name and use.issuer is not None}

    def legs(self, random: bytes) -> list[str]:
        """Connections with this client random: one handshake may be seen on several legs."""
        return list(self._legs.get(random, ()))

    def recent(self, service: ServiceKey) -> tuple[str, ...]:
        """The last ones of a service."""
        return self._recent.get(service, ())

    def named(self, address: ServiceKey) -> list[ServiceKey]:
        """The services that are known at an address."""
        return self._named.get(address, [])

    def tidy(self) -> None:
        """Forget names of services of which no connection is known any more."""
        self._named = {
            address: known
            for address, names in self._named.items()
            if (known := [service for service in names if service in self._recent])
        }
