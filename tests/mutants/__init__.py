"""Wrong parts. Each breaks one thing, and the suite must reject each: a check that accepts all of them is no check."""
