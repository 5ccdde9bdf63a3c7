"""Bytes to messages and back: no sockets, no clocks, no threads. Travels to the target."""
