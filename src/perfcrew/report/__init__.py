"""The report: composed from the ledger, and rendered as Markdown, JSON, HTML, SARIF or JUnit.

Refuses: a number without evidence behind it, judging its own work, and writing to the ledger.
"""
