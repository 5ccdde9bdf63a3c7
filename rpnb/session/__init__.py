"""The client: start the agent, attach to a worker, send a program and its jobs, collect results."""
