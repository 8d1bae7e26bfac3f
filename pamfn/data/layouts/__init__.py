"""One module a layout, each with one ``read`` that returns a ``Source`` and never raises for bad data."""
