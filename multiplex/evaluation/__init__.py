"""Measuring text: references to perspectives, their distribution, sentiment. It measures any text, whoever wrote it."""

from multiplex.evaluation.corpus import Columns, Passage, Skipped, read
from multiplex.evaluation.evaluator import Evaluator
from multiplex.evaluation.extractors import Extractor, Local
from multiplex.evaluation.frame import FRAME, KNOWN
from multiplex.evaluation.gazetteer import Entity, Gazetteer
from multiplex.evaluation.kept import Kept, kept
from multiplex.evaluation.measures import Measures, Tone
from multiplex.evaluation.references import Reference, count, find
from multiplex.evaluation.scorer import Scored, Scorer
from multiplex.evaluation.sentences import Sentence, split
from multiplex.evaluation.summary import Estimate, Summary, Tally

__all__ = [
    "FRAME",
    "KNOWN",
    "Columns",
    "Entity",
    "Estimate",
    "Evaluator",
    "Extractor",
    "Gazetteer",
    "Kept",
    "Local",
    "Measures",
    "Passage",
    "Reference",
    "Scored",
    "Scorer",
    "Sentence",
    "Skipped",
    "Summary",
    "Tally",
    "Tone",
    "count",
    "find",
    "kept",
    "read",
    "split",
]
