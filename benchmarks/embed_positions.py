"""Makes `agents/positions/embeddings.npz`: the embeddings of sourcebooks and topics, under the hash of their texts.

    python benchmarks/embed_positions.py

Run it after a sourcebook has changed; a test says so. Until then the sourcebook is embedded when it is first asked.
"""

from __future__ import annotations

import numpy as np

from multiplex.council.personas import agents, built_in
from multiplex.council.positions import FOLDER
from multiplex.council.similarity import SHIPPED, STEPS, key_of, topic_names
from multiplex.llm.embeddings import Embedder


def main() -> None:
    """Write the array, in steps of 1/254, and say how large it is."""
    books = [persona.sourcebook for persona in built_in() if persona.sourcebook is not None]
    every = [topic_names(), *(texts for book in books for texts in (book.texts, book.phrases))]
    rows = {
        key_of(texts): np.round(Embedder().encode(texts) * STEPS).clip(-127, 127).astype(np.int8) for texts in every
    }
    path = agents() / FOLDER / SHIPPED
    np.savez_compressed(path, **rows)
    print(
        f"{path}: {sum(map(len, rows.values())):,} rows of {len(books)} sourcebooks, {path.stat().st_size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
