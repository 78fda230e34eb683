"""What the figures of the paper are drawn from: each function makes the data of one figure."""
