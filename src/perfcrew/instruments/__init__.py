"""Instruments: one module a program or a kind of measurement. They run it, read what it says, and return evidence.

Refuses: to judge what a figure means, to take a time from an instrumented run, and to count an error as fast.
Nothing is imported here, since the load driver's process starts through this package and has to start at once.
"""
