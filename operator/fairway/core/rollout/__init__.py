"""The rollout engine: one concern a module, `decide` is the chain."""
