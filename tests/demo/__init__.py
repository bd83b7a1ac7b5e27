"""`make demo`: a good, two bad and one broken version of a model meet the operator under load."""
