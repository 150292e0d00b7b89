"""The version of the distribution, read by hatchling and shown in traces and the User-Agent."""

__version__ = "0.1.0"
