"""A program as files: written, compared with what is on disk, proved in a fresh process."""
