"""`python seed.py --books 500`: the shop's seed without an installation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

from bookshop.seed import main

main()
