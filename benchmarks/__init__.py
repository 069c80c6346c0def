"""Side-by-side runs against the alternatives: `python -m benchmarks`. They print figures and assert nothing."""
