"""Parameters that many endpoints take."""

from typing import Annotated

from fastapi import Path, Query

MAX_ID = 2**31 - 1

BookId = Annotated[int, Path(ge=1, le=MAX_ID, examples=[1])]
RowId = Annotated[int, Path(ge=1, le=MAX_ID)]
Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
