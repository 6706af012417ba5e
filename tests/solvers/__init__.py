"""The core piece by piece: what the property suite does not ask."""
