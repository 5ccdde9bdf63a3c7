"""The client: reaches the agent, keeps the program in step, runs jobs."""
