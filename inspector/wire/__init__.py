"""From frames to ordered bytes: header columns, flows, reassembly."""
