"""Libraries that are not what the hooks know: the target must not notice."""

import random
import sqlite3

random.seed(7)


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no repr")

    def __conform__(self, protocol: object) -> str:
        return "adapted"


connection = sqlite3.connect(":memory:")
assert connection.execute("select ?", (Unprintable(),)).fetchone() == ("adapted",)
assert random.random() == 0.32383276483316237
try:
    connection.execute("select ?", ())
except sqlite3.ProgrammingError as error:
    print("raised as ever:", error)
else:
    raise SystemExit("the driver's own error was lost")
