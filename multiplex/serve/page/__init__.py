"""The page of `multiplex serve --ui`: ask, watch the voices come, see what was measured and why."""
