"""Checks on whole problems: identification of the support, trainings to the end."""
