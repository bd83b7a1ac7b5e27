"""A model server for tests that start many pods and ask few of them anything."""
