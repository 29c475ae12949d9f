"""The one place that imports multipart's header parser.

Another package of that name, python-multipart's, puts itself in its place while it is imported: two
threads that import it at once may get the wrong one, and a module is imported by one.
"""

from multipart import parse_options_header

__all__ = ["parse_options_header"]
