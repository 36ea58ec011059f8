"""The embedded model on this machine: two questions in one process, cold and warm, with memory and quality counts."""

from __future__ import annotations

import asyncio
import time

import psutil

from multiplex.answering import ask, measured
from multiplex.council.order import Order
from multiplex.evaluation import Evaluator
from multiplex.llm.spec import parse_spec

QUESTIONS = (
    "How should families decide who cares for ageing parents?",
    "What makes a punishment just?",
)


def main() -> None:
    """Print the table."""
    process, evaluator = psutil.Process(), Evaluator()
    print(f"{psutil.cpu_count()} cores, load before {psutil.getloadavg()[0]:.1f}\n")
    print("| question | total s | voices and synthesis s | tokens out | lost | references | entropy % | resident GB |")
    print("|---|---|---|---|---|---|---|---|")
    for label, question in zip(("cold", "warm"), QUESTIONS, strict=True):
        began = time.perf_counter()
        result, _ = asyncio.run(ask(Order.of(question, model=parse_spec("local"), seed=7)))
        result = measured(result, evaluator)
        taken = time.perf_counter() - began
        council = result.answers["multiplex"]
        assert council.measures is not None  # noqa: S101
        entropy = council.measures.entropy
        print(
            f"| {label} | {taken:.0f} | {council.answer.seconds:.0f} | {council.answer.usage.output_tokens} "
            f"| {len(council.answer.lost)} | {council.measures.n} | {entropy or 0:.0f} "
            f"| {process.memory_info().rss / 1e9:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
