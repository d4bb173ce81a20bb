"""What a result looks like: layers to draw, maps of them, curves, and a page of all."""
