"""Develop RunPod serverless handlers in a notebook, on a real GPU."""

__version__ = "0.1.0"
