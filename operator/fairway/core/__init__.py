"""The pure core: decisions and manifests, no input or output."""
