"""What a live capture writes: lines, recordings, metrics, evidence, commands."""
