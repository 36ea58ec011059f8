"""What CLDR calls the countries and regions of the gazetteers in each language."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from multiplex.evaluation.extraction.gazetteer import Entity, Gazetteer

# What the gazetteers call a territory where CLDR's English name is another.
_CALLED = {
    "019": "", "030": "East Asia", "034": "South Asia",
    "CD": "Democratic Republic of the Congo", "GE": "Republic of Georgia",
    "HK": "Hong Kong", "MM": "Myanmar", "MO": "Macau", "PS": "Palestine", "ST": "São Tomé and Príncipe",
    "CG": "Republic of the Congo", "CI": "Ivory Coast", "US": "United States",
}  # fmt: skip
_LOCALES = {"zh": ("zh_Hans", "zh_Hant"), "pt": ("pt", "pt_PT"), "es": ("es", "es_MX"), "az": ("az",)}


def territory_names(language: str, gazetteer: Gazetteer) -> Iterator[tuple[str, Entity]]:
    """(name in the language, entity) for every territory of CLDR that the gazetteer knows."""
    from babel import Locale

    known = _entities(gazetteer)
    for name in _LOCALES.get(language, (language,)):
        for code, called in Locale.parse(name).territories.items():
            if code in known:
                yield called, known[code]


@cache
def _entities(gazetteer: Gazetteer) -> dict[str, Entity]:
    """By ISO 3166 or UN M49 code the entity of the gazetteer that has the territory's whole English name."""
    from babel import Locale

    found: dict[str, Entity] = {}
    for code, name in Locale.parse("en").territories.items():
        called = _CALLED.get(code, name.replace(" & ", " and "))
        spelled = [called, called.replace("St. ", "Saint "), f"the {called}"]
        for each in spelled:
            for match in gazetteer.match(each):
                whole = match.end == len(each) and match.start <= len("the ")
                if whole and match.form.slot not in ("concept", "trap"):
                    found.setdefault(code, match.form.entity)
    return found
