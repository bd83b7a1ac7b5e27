"""Argo CD's own code, asked by tests."""
