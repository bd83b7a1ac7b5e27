"""Manifests of the children, one kind a module."""
