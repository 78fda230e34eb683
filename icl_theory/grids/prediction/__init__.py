"""The grid of one-layer models with exact risks: what truncation gains, and what bounds foretell of it."""
