"""The moving parts, without any concrete library."""
