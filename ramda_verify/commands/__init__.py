"""The commands, a light module each: its options, its help, and the refusals that need no computing.

What a command runs is imported within its function, so that ``--help`` and a refusal wait for neither torch nor the
tools of the other commands.
"""
