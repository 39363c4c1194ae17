"""One file a rule: each recognises one costly pattern in what was observed, explains it, and says what it costs.

The module's docstring is the user's documentation. `catalog` lists and explains the rules, `book` runs them over an
application, `silence` honours what the project chose to ignore or has acknowledged.

Refuses: to measure anything, to import the target, to guess where nothing was observed (not measured is not clean),
and to write a number that no evidence holds.
"""
