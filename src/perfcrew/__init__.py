"""perfcrew: a crew of specialists that reviews a real web application's performance.

Measured, proven or dropped, and written down so that every number can be traced.
"""

__version__ = "0.1.0"
