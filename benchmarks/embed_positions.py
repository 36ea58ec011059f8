"""Makes `agents/positions/embeddings.npz`: the embeddings of sourcebooks and topics, under the hash of their texts.

    python benchmarks/embed_positions.py

Run it after a sourcebook has changed; a test says so. Until then the sourcebook is embedded when it is first asked.
"""

from __future__ import annotations

import numpy as np

from multiplex.council.nearness import SHIPPED, key_of, topic_names
from multiplex.council.personas import agents, built_in
from multiplex.council.positions import FOLDER
from multiplex.llm.embeddings import Embedder


def main() -> None:
    """Write the array, in half precision, and say how large it is."""
    books = [persona.sourcebook for persona in built_in() if persona.sourcebook is not None]
    every = [topic_names(), *(book.texts for book in books)]
    rows = {key_of(texts): Embedder().encode(texts).astype(np.float16) for texts in every}
    path = agents() / FOLDER / SHIPPED
    np.savez_compressed(path, **rows)
    print(
        f"{path}: {sum(map(len, rows.values())):,} rows of {len(books)} sourcebooks, {path.stat().st_size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
