"""The figures of the paper in their synthetic counterparts, and our own: each reads a record and computes nothing."""
