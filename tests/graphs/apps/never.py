"""Does what NEVER says instead of serving: raises while it is imported, or hangs there."""

import os
import time

from fastapi import FastAPI

app = FastAPI()
print("looking for the licence", flush=True)
if os.environ.get("NEVER") == "hangs":
    time.sleep(3600)
raise RuntimeError("no licence for horses")
