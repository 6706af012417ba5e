"""The benchmark cases: each file measures one thing and yields rows."""
