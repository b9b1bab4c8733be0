"""Claims on the deep agent with a model of the environment: values through it, and plans."""
