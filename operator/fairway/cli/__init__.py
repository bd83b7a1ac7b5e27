"""The kubectl plugin: see, understand and steer ModelDeployments from a terminal."""
