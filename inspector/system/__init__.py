"""What this process asks of its operating system: copies of itself, cores and memory, files of its own."""
