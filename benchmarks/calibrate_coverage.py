"""Calibrates `eval/coverage.json`: from which similarity on a voice's claim counts as standing in a synthesis.

    python benchmarks/calibrate_coverage.py [--model NAME] [--base-url URL] [--questions N] [--raw FILE] [--output FILE]

The council answers each question; then, for every voice, the same synthesizer makes the answer once more from the
other voices alone. How near a voice's claims come to that answer is what shared subject and shared manner bring about
without the voice: the null. Its 95th percentile is the threshold.

Every text is appended to the raw file as soon as it is made: the same command goes on where it was stopped, and calls
no model once the file is complete. A second table compares what could stand in place of a masked cue, on these texts
and on the written pairs of claim and paraphrase in tests/evaluation/test_coverage.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from multiplex.content import content_root
from multiplex.council.answer import Voice
from multiplex.council.grammar import without_opener
from multiplex.council.personas import Council
from multiplex.council.seeds import call_seed
from multiplex.council.strategies import multiplex
from multiplex.council.synthesis import synthesize
from multiplex.evaluation.retention.coverage import LEAST_WORDS, Calibration, measure_coverage
from multiplex.evaluation.retention.masking import Claim, claims, shipped_gazetteer, visible, without_cues
from multiplex.evaluation.retention.similarity import Vectors
from multiplex.llm.embeddings import Embedder
from multiplex.llm.local.weights import EMBEDDED
from multiplex.llm.model import as_chat
from multiplex.llm.spec import ModelSpec, parse_spec
from tests.evaluation.test_coverage import PARAPHRASES, VOICES

SEED, RESAMPLES = 7, 2000
PERCENTILE = 95
QUESTIONS = (
    "Should a grown child move back home to look after an ill parent?",
    "What makes a punishment just?",
    "How should a community divide water in a dry year?",
    "Is it right to tell a dying person the whole truth?",
    "What do we owe to people who are not yet born?",
    "How should a couple decide how many children to have?",
    "When may a person break a promise?",
    "What should schools teach about right and wrong?",
    "How should a village settle a quarrel over land?",
    "Is wealth something to be proud of?",
    "How should people mourn their dead?",
    "May animals be used to test medicines?",
)
PLACEHOLDERS = ("this", "this tradition", "this idea", "they", "X", "[MASK]", "")


@dataclass(frozen=True)
class Null:
    """A voice's claims, and the sentences of the answer made without it."""

    question: str
    perspective: str
    claims: list[Claim]
    sentences: list[Claim]


async def generate(spec: ModelSpec, questions: Sequence[str], raw: Path) -> None:
    """Append to `raw` what it lacks: for each question the council's answer, and one answer without each voice."""
    council, chat = Council.load(), as_chat(spec)
    personas = {persona.name: persona for persona in council.personas}
    records = read(raw)

    def keep(question: str, without: str | None, **record: Any) -> dict[str, Any]:
        made = {"question": question, "without": without, **record}
        with raw.open("a", encoding="utf-8") as file:
            file.write(json.dumps(made, ensure_ascii=False) + "\n")
        print(f"{question} | without {without or 'nobody left out'}", file=sys.stderr, flush=True)
        return made

    for question in questions:
        seed = call_seed(SEED, question)
        mine = [record for record in records if record["question"] == question]
        whole = next((record for record in mine if record["without"] is None), None)
        if whole is None:
            answer = await multiplex(question, chat, seed, lambda _: None, council=council)
            voices = [voice.model_dump(mode="json") for voice in answer.voices]
            whole = keep(question, None, text=answer.text, scaffold=answer.scaffold, voices=voices, notes=answer.notes)
        spoken = [voice for each in whole["voices"] if (voice := Voice.model_validate(each)).error is None]
        done = {record["without"] for record in mine}
        for left_out in [voice for voice in spoken if voice.perspective not in done]:
            others = [voice for voice in spoken if voice is not left_out]
            made = await synthesize(question, others, personas, chat, seed, lambda _: None)
            keep(question, left_out.perspective, text=made.text, scaffold=made.scaffold, notes=[made.note])
    await chat.aclose()


def read(raw: Path) -> list[dict[str, Any]]:
    """The records of a raw file, none where it is not there; a line that a killed run left half written is removed."""
    if not raw.exists():
        return []
    text = raw.read_text("utf-8")
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        raw.write_text(text, "utf-8")
    return [json.loads(line) for line in text.splitlines()]


def text_of(record: Mapping[str, Any]) -> str:
    """A synthesis without what our code wrote."""
    return visible(record["text"], [(start, end) for start, end in record["scaffold"]])


def said(record: Mapping[str, Any]) -> dict[str, str]:
    """What each voice said, less the opener that the embedded model's grammar puts before its last sentence."""
    spoken = [voice for voice in record["voices"] if voice["error"] is None]
    return {voice["perspective"]: without_opener(voice["text"]) for voice in spoken}


def nulls_of(records: Sequence[Mapping[str, Any]]) -> list[Null]:
    """Every voice of the questions whose answer without it was made."""
    voices = {record["question"]: said(record) for record in records if record["without"] is None}
    gazetteer = shipped_gazetteer()
    return [
        Null(
            record["question"],
            record["without"],
            claims(voices[record["question"]][record["without"]], gazetteer, least=LEAST_WORDS),
            claims(text_of(record), gazetteer),
        )
        for record in records
        if record["without"] is not None and not any("failed" in note for note in record["notes"] if note)
    ]


def best(nulls: Iterable[Null], vectors: Vectors, mask: Callable[[Claim], str] = lambda one: one.bare) -> list[float]:
    """The cosine of each claim's nearest sentence in the answer made without its voice."""
    rows = [vectors.cosines([mask(c) for c in one.claims], [mask(s) for s in one.sentences]) for one in nulls]
    return [float(row.max()) for part in rows for row in part]


def calibrated(records: Sequence[Mapping[str, Any]], spec: ModelSpec, embedder: Embedder) -> Calibration:
    """The threshold and what lies above it; prints how both spread."""
    nulls = nulls_of(records)
    vectors = Vectors.of(
        (one.bare for null in nulls for part in (null.claims, null.sentences) for one in part), embedder
    )
    cosines = best(nulls, vectors)
    questions = sorted({null.question for null in nulls})
    by_question = {q: best((null for null in nulls if null.question == q), vectors) for q in questions}
    draw = random.Random(SEED)
    resampled = [
        float(np.percentile([c for q in draw.choices(questions, k=len(questions)) for c in by_question[q]], PERCENTILE))
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(resampled, [2.5, 97.5])
    threshold = (
        math.ceil(1000 * float(np.percentile(cosines, PERCENTILE))) / 1000
    )  # up: the percentile itself is not above it
    name = f"{spec.name} ({EMBEDDED.name})" if spec.name == "local" else f"{spec.name} at {spec.place}"
    print(
        f"Model: {name}, {spec.synthesis} synthesis; {len(questions)} questions, {len(nulls)} answers without a voice"
    )
    print(f"\nThreshold {threshold} (95% interval over questions {low:.3f} to {high:.3f})\n")
    marks = (5, 25, 50, 75, 90, 95, 99)
    print(f"| null | claims | {' | '.join(f'{mark}%' for mark in marks)} | above |\n|---|{'---|' * (len(marks) + 2)}")
    for who in ("all", *dict.fromkeys(null.perspective for null in nulls)):
        part = cosines if who == "all" else best((null for null in nulls if null.perspective == who), vectors)
        cells = " | ".join(f"{value:.2f}" for value in np.percentile(part, marks))
        print(f"| {who} | {len(part)} | {cells} | {fmean(value > threshold for value in part):.2f} |")
    about = (
        f"The {PERCENTILE}th percentile of the best-match cosines (all-MiniLM-L6-v2, cues masked) of voices' claims in "
        f"{len(nulls)} syntheses ({spec.synthesis}) made without their voice on {len(questions)} questions, and the "
        "share of the claims above it; made by benchmarks/calibrate_coverage.py"
    )
    above = round(fmean(cosine > threshold for cosine in cosines), 4)
    return Calibration(about=about, threshold=threshold, null_share=above, model=name, claims=len(cosines))


def print_overlap(records: Sequence[Mapping[str, Any]], calibration: Calibration, embedder: Embedder) -> None:
    """What the real answers reach, with their own nulls."""
    print(
        "\n| perspective | answers | claims | overlap | without | net | extractiveness |\n|---|---|---|---|---|---|---|"
    )
    found: dict[str, list[Any]] = {}
    for record in (record for record in records if record["without"] is None):
        nulls = {r["without"]: text_of(r) for r in records if r["question"] == record["question"] and r["without"]}
        voices = {name: text for name, text in said(record).items() if name in nulls}
        if voices:
            measured = measure_coverage(
                voices, text_of(record), leave_one_out=nulls, embedder=embedder, calibration=calibration
            )  # fmt: skip
            for name, one in measured.perspectives.items():
                found.setdefault(name, []).append(one)
    for name, ones in found.items():
        cells = []
        for figure in ("share", "without", "net", "extractiveness"):
            there = [value for one in ones if (value := getattr(one, figure)) is not None]
            cells.append(f"{fmean(there):.2f}" if there else "none")
        print(f"| {name} | {len(ones)} | {sum(one.claims for one in ones)} | {' | '.join(cells)} |")


def print_placeholders(records: Sequence[Mapping[str, Any]], embedder: Embedder) -> None:
    """What a mask does to unrelated claims (the null, and the written voices to each other) and to paraphrases."""
    gazetteer = shipped_gazetteer()
    nulls = nulls_of(records)
    pairs = [(k, a, b) for k in VOICES for a, b in zip(VOICES[k], PARAPHRASES[k], strict=True)]
    print("\n| placeholder | null, median | null, 95% | written voices, 95% | their paraphrases, median | lowest |")
    print("|---|---|---|---|---|---|")
    for placeholder in PLACEHOLDERS:

        def mask(one: Claim, placeholder: str = placeholder) -> str:
            return without_cues(one.text, gazetteer, placeholder=placeholder)

        vectors = Vectors.of(
            (mask(one) for null in nulls for part in (null.claims, null.sentences) for one in part), embedder
        )
        null = best(nulls, vectors, mask)
        said, again = (embedder.encode([mask(Claim(pair[at], "")) for pair in pairs]) for at in (1, 2))
        cosines, other = said @ said.T, np.array([[a[0] != b[0] for b in pairs] for a in pairs])
        near = np.where(other, cosines, -1).max(axis=1)
        paraphrases = (said * again).sum(axis=1)
        print(
            f"| {placeholder or 'taken out'} | {np.median(null):.3f} | {np.percentile(null, 95):.3f} | "
            f"{np.percentile(near, 95):.3f} | {np.median(paraphrases):.3f} | {paraphrases.min():.3f} |"
        )


def main() -> None:
    """Make the texts that are missing, print the tables, write the file."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    flags.add_argument("--model", default="local")
    flags.add_argument("--base-url")
    flags.add_argument("--questions", type=int, default=len(QUESTIONS), help="how many of the written list")
    flags.add_argument("--raw", type=Path, default=Path("coverage_raw.jsonl"))
    flags.add_argument("--output", type=Path, default=content_root() / "eval" / "coverage.json")
    flags.add_argument("--no-calls", action="store_true", help="calibrate on what the raw file already holds")
    chosen = flags.parse_args()
    spec, embedder = parse_spec(chosen.model, chosen.base_url), Embedder()
    if not chosen.no_calls:
        asyncio.run(generate(spec, QUESTIONS[: chosen.questions], chosen.raw))
    records = read(chosen.raw)
    calibration = calibrated(records, spec, embedder)
    chosen.output.write_text(calibration.model_dump_json(indent=2) + "\n", "utf-8")
    print_overlap(records, calibration, embedder)
    print_placeholders(records, embedder)


if __name__ == "__main__":
    main()
