"""How checks run: cases are drawn, measured, shrunk and written down as results, in worker processes."""
