"""EAN-13 symbols as strings of modules, 1 for a bar and 0 for a space."""

from functools import lru_cache

LEFT_ODD = (
    "0001101",
    "0011001",
    "0010011",
    "0111101",
    "0100011",
    "0110001",
    "0101111",
    "0111011",
    "0110111",
    "0001011",
)
PARITIES = (
    "OOOOOO",
    "OOEOEE",
    "OOEEOE",
    "OOEEEO",
    "OEOOEE",
    "OEEOOE",
    "OEEEOO",
    "OEOEOE",
    "OEOEEO",
    "OEEOEO",
)
GUARD, MIDDLE = "101", "01010"


def inverted(modules: str) -> str:
    return modules.translate(str.maketrans("01", "10"))


def left_digit(digit: str, parity: str) -> str:
    odd = LEFT_ODD[int(digit)]
    return odd if parity == "O" else inverted(odd)[::-1]


@lru_cache(maxsize=256)
def ean13(isbn: str) -> str:
    parities = PARITIES[int(isbn[0])]
    left = "".join(left_digit(digit, parity) for digit, parity in zip(isbn[1:7], parities, strict=True))
    right = "".join(inverted(LEFT_ODD[int(digit)]) for digit in isbn[7:])
    return GUARD + left + MIDDLE + right + GUARD
