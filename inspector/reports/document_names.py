"""What a document's ids stand for, for people who read a table."""

from __future__ import annotations

from inspector import document as doc


class DocumentNames:
    """Of one document. An id that it does not hold stands for itself."""

    def __init__(self, document: doc.Document) -> None:
        self._services = {service.id: f"{service.name}:{service.port}" for service in document.services}
        self._backends = {backend.id: backend for backend in document.backends}
        self._stacks = {client.id: client.stack for client in document.clients}

    def service(self, name: str | None) -> str | None:
        """Name and port."""
        return None if name is None else self._services.get(name, name)

    def backend(self, name: str | None) -> str | None:
        """The letter of the member of the pool."""
        known = None if name is None else self._backends.get(name)
        return known.label if known is not None else name

    def backend_name(self, name: str | None) -> str | None:
        """What people or the balancer's log call it."""
        known = None if name is None else self._backends.get(name)
        return None if known is None else known.named or known.server

    def stack(self, client: str) -> str | None:
        """By which a client speaks TLS."""
        return self._stacks.get(client)
