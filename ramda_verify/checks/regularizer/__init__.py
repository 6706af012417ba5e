"""Checks of a regularizer: its prox, its value, its optional members, its manners."""
