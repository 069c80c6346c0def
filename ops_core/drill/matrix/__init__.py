"""The drill matrix: every fault of the catalogue held for real, and what came of each kept as a file."""
