"""Experiments: a change in a worktree of its own, measured against the base, kept or reverted.

Nothing is here yet: a review changes nothing, and says so.
"""
