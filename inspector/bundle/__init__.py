"""The incident report as a bundle of files: what another team reads, and the packets that prove it."""
