"""An example model server for Fairway: small, honest about its data, and able to fail on request."""
