"""Runs inside the target's interpreter: imports the application and tells its routes as JSON.

Standard library only, and no syntax newer than Python 3.8; it is started by `launch.py`, never imported by perfcrew.
It refuses to guess: an application that can't be imported ends in an error with its reason, and values of settings are
never printed.
"""
