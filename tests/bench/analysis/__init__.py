"""How often the product's own test is wrong, and how long it takes to be right: `make bench-analysis`."""
