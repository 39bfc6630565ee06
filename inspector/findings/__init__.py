"""What the facts mean: Java's rule, findings, assessments, incidents. ``judge(facts) → document`` is pure."""
