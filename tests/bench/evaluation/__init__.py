"""What one look at all open runs costs: `make bench`."""
