"""Under which names records of ours stand beside the threads of a database, which other programs may use too."""

from __future__ import annotations

EXCHANGES = "exchanges"  # the page's questions with all that came of them
