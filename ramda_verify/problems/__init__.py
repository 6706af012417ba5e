"""Small problems whose solution and support are known for certain."""
