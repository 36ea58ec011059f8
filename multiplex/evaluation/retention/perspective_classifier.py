"""Which perspective a text without names speaks from, as a classifier reads it: for blind attribution alone.

It is no extractor: trained without a country, it finds the perspective of less than 40% of the English sentences on
that country that do not name it, with 95% of those on no culture left alone (`benchmarks/validation.py`).
"""

from __future__ import annotations

from multiplex.content import content_root
from multiplex.errors import ContentError
from multiplex.evaluation.extraction.logistic import Head, load_head
from multiplex.llm.embeddings import DIMENSIONS

NONE = "none"


class PerspectiveClassifier:
    """A logistic head on sentence embeddings over the perspectives and `none`."""

    def __init__(self, head: Head) -> None:
        self.head = head

    @classmethod
    def load(cls) -> PerspectiveClassifier:
        """The head that ships in `eval/attribution_head.json`.

        Raises:
            ContentError: the file is absent or wrong.
        """
        path = content_root() / "eval" / "attribution_head.json"
        head = load_head(path, DIMENSIONS)
        if NONE not in head.labels:
            raise ContentError(path, f"must hold {NONE!r}", field="labels")
        return cls(head)
