"""Measuring text: references to perspectives, their distribution, sentiment. It measures any text, whoever wrote it."""

from multiplex.evaluation.corpus import Columns, Passage, Skipped, read
from multiplex.evaluation.evaluator import Evaluator
from multiplex.evaluation.extraction.facets import Facets
from multiplex.evaluation.extraction.frame import FRAME, KNOWN
from multiplex.evaluation.extraction.frames import Frame, load_frame
from multiplex.evaluation.extraction.gazetteer import Entity, Gazetteer
from multiplex.evaluation.extraction.local import Extractor, Local
from multiplex.evaluation.extraction.references import Reference, count, find
from multiplex.evaluation.measures import Measures, Tone
from multiplex.evaluation.retention.report import Retention, measure_retention
from multiplex.evaluation.scorer import Scored, Scorer
from multiplex.evaluation.statistics.summary import Estimate, Summary, Tally
from multiplex.text.sentences import Sentence, split

__all__ = [
    "FRAME",
    "KNOWN",
    "Columns",
    "Entity",
    "Estimate",
    "Evaluator",
    "Extractor",
    "Facets",
    "Frame",
    "Gazetteer",
    "Local",
    "Measures",
    "Passage",
    "Reference",
    "Retention",
    "Scored",
    "Scorer",
    "Sentence",
    "Skipped",
    "Summary",
    "Tally",
    "Tone",
    "count",
    "find",
    "load_frame",
    "measure_retention",
    "read",
    "split",
]
