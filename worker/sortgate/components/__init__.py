"""Built-in components of the text path, registered through the same hooks as everybody's."""
