"""Measuring text: references to perspectives, their distribution, sentiment. It measures any text, whoever wrote it."""

from multiplex.evaluation.evaluator import Evaluator
from multiplex.evaluation.frame import FRAME, KNOWN
from multiplex.evaluation.gazetteer import Entity, Gazetteer
from multiplex.evaluation.kept import Kept
from multiplex.evaluation.measures import Measures, Tone
from multiplex.evaluation.references import Reference, count, find
from multiplex.evaluation.sentences import Sentence, split

__all__ = [
    "FRAME",
    "KNOWN",
    "Entity",
    "Evaluator",
    "Gazetteer",
    "Kept",
    "Measures",
    "Reference",
    "Sentence",
    "Tone",
    "count",
    "find",
    "split",
]
