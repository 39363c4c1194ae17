"""Copies of the target's database, one engine a module, and the ways to tell the target where its copy lies.

Refuses: to write to the user's database or tree, and to guess where an engine is not known.
"""
