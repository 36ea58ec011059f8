"""Names, terms and numbers in a text, found by how they are written, and the voices in which each stands.

Nothing here knows a perspective: a name is told by its capital letters, a term by emphasis or quotation marks. In a
script without capital letters, and in languages that capitalise every noun, names cannot be told so; `names_readable`
says where.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from multiplex.council.answer import Span, Voice
from multiplex.council.peoples import PEOPLES


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[^\W\d_](?:[^\W_]|['’ʻʼ\-](?=\w)|\u0300-\u036f)*")
_GROUP = r"[.,٬'’\u00a0\u2009\u202f](?=(?:\d\d,)*\d{3}(?!\d))"  # between the digits of 10,000 and of 1,00,000
_NUMBER = re.compile(rf"(?<![A-Za-z\d])\d+(?:{_GROUP}\d{{2,3}})*(?!\d|[A-Za-z]{{2}}|[A-Za-rt-z])")  # 1990s, not 3a
_SENTENCE_START = re.compile(r"(?:^|[.!?…:]['\"”’»)\]*]*\s+|\n\s*|^\s*[#>*\-]+\s*|[“\"«]\s*)$", re.MULTILINE)
_TERM = re.compile(r"(?<![\w*])\*(?!\s)([^*\n]{2,80}?)(?<!\s)\*(?![\w*])|(?<!\w)_(?!\s)([^_\n]{2,80}?)(?<!\s)_(?!\w)")
_QUOTED = re.compile(r"[“\"«]([^”\"»\n]{2,80})[”\"»]")
_LINKS = _words("of de del della la las los el al ibn bin bint von van der den du da do dos das di y e ben")
_COMMON = _words(
    "i a an the this that these those it he she we they you who what which when where why how some many most much more "
    "one two three four five few all both each every either neither none no not nor and or but if as at by for from in "
    "into of on onto out over since so than then there though through to under until up upon when while with within "
    "his her its our their my your such even yet still also here now once only perhaps after before because between "
    "against among about above across without"
)
_APOSTROPHES = str.maketrans(dict.fromkeys("'’ʻʼ‘`´ʿʾ", ""))
NOUN_CAPITALS = 0.3  # runs of capitalised words, as a share of the words inside sentences: above, nouns have capitals
CASED = 0.5  # letters that have case, as a share: below, the script has no capitals to go by
SHORTEST = 6  # letters of a plain word that can tell one voice from the others
ENOUGH = 3  # such words, where a voice has no name or term of its own


@dataclass(frozen=True)
class Name:
    """A name or term in a text: its [start, end) and its words."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Trace:
    """A name of the answer and the perspectives whose voices name it."""

    start: int
    end: int
    text: str
    perspectives: tuple[str, ...]


@dataclass(frozen=True)
class Own:
    """What one voice alone uses: folded names and terms, and plain words for a voice that has none of them."""

    names: frozenset[str]
    words: frozenset[str]

    def is_met(self, folded: str) -> bool:
        """Whether a folded text meets the voice: by one name or term, whole or by one word of it; else by plain words.

        A voice of which nothing is its own cannot be told from the others, and counts as met.
        """
        if self.names:
            return any(
                _holds(folded, name)
                or any(len(part) > 3 and part not in _GENERIC and _holds(folded, part) for part in name.split())
                for name in self.names
            )
        return sum(word in folded for word in self.words) >= min(ENOUGH, len(self.words))


def fold(text: str) -> str:
    """The text without case, diacritics and apostrophes, and hyphens as spaces: spellings of one name agree in it."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES))
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
    return re.sub(r"[-‐‑–\s]+", " ", plain)


def names_readable(text: str) -> bool:
    """Whether names can be told by capitals: the script has case, and common nouns are written small."""
    letters = [c for c in text if c.isalpha()]
    if not letters or sum(c.lower() != c.upper() for c in letters) < CASED * len(letters):
        return False
    inner = [m.group()[0].isupper() for m in _WORD.finditer(text) if not _starts_sentence(text, m.start())]
    runs = sum(now and not before for before, now in zip([False, *inner], inner, strict=False))
    return runs <= NOUN_CAPITALS * max(1, len(inner))


def capitals_inside(text: str) -> frozenset[str]:
    """The words that have a capital inside a sentence: names, wherever else they stand."""
    words = _WORD.finditer(text)
    return frozenset(m.group() for m in words if m.group()[0].isupper() and not _starts_sentence(text, m.start()))


def find_names(text: str, known: frozenset[str] = frozenset()) -> list[Name]:
    """Runs of capitalised words, in order.

    A word that begins a sentence belongs to a run only with a further capitalised word after it, as a possessive, or
    where it is `known` or the text has it with a capital inside a sentence too.
    """
    words = list(_WORD.finditer(text))
    inner = known | capitals_inside(text)
    found: list[Name] = []
    run: list[re.Match[str]] = []

    def close() -> None:
        while run and not _is_capitalised(run[-1].group()):
            run.pop()
        opens = bool(run) and _starts_sentence(text, run[0].start())
        if opens and _is_ordinary(run, text):
            run.pop(0)
            opens = False
        while run and not _is_capitalised(run[0].group()):
            run.pop(0)
        if run and not _is_no_name(run, opens, inner):
            found.append(_name(text, run))
        run.clear()

    for word in words:
        if run and not _continues(run[-1].group(), text[run[-1].end() : word.start()]):
            close()
        if _is_capitalised(word.group()) or (run and word.group() in _LINKS):
            run.append(word)
        else:
            close()
    close()
    return found


def _is_no_name(run: Sequence[re.Match[str]], opens: bool, inner: frozenset[str]) -> bool:
    """Whether one word alone is none: a letter, "He", or a word that only begins a sentence."""
    word = run[0].group()
    if len(run) > 1:
        return False
    if len(word) == 1 or word.lower() in _COMMON:
        return True
    return opens and word not in inner and not re.search(r"['’]s$", word)


def find_terms(text: str) -> list[Name]:
    """Emphasised words and short quotations."""
    found = [
        Name(m.start(n), m.end(n), m.group(n))
        for pattern in (_TERM, _QUOTED)
        for m in pattern.finditer(text)
        for n in (1, 2)
        if n <= (m.lastindex or 0) and m.group(n)
    ]
    return sorted(found, key=lambda name: name.start)


def find_numbers(text: str) -> list[Name]:
    """Numbers in digits, of any script."""
    return [Name(m.start(), m.end(), m.group()) for m in _NUMBER.finditer(text)]


def with_plain_digits(text: str) -> str:
    """The text with the digits of every script as 0 to 9, and nothing between the groups of a number."""
    digits = (str(unicodedata.decimal(c, c)) for c in text)
    return re.sub(rf"(?<=\d){_GROUP}", "", "".join(digits))


def is_generic(name: str) -> bool:
    """Whether a name is made of words that name nobody in particular: a title, a direction, God."""
    return not own_words(name)


def own_words(name: str) -> list[str]:
    """The capitalised words of a name that are its own, folded; titles, directions and the like are nobody's."""
    parts = [fold(_bare(part)) for part in re.split(r"[\s\-]+", name) if part[:1].isupper()]
    return [part for part in parts if part not in _GENERIC]


def is_people(name: str) -> bool:
    """Whether a name is that of a country, a region, a people or a religion."""
    folded = fold(_bare(name))
    return any(folded.removesuffix(ending) in _PEOPLES for ending in ("", *_ENDINGS))


def stands_in(name: str, folded: str) -> bool:
    """Whether a name stands in a folded text: whole, or by the word that tells it from others.

    That is the last of its own words: "Karl Marx" stands where "Marx" does, since introducing someone may complete the
    name, and "John Rawls" does not where "John" does. The word before "of" will do, and so will two words on end:
    "Augustine of Hippo", "Rigoberta Menchú Tum". The name of a people or religion counts only where there is no other
    word: "Ottoman Mecelle".
    """
    if _stands_whole(name, folded):
        return True
    own = _telling_words(name)
    if all(is_people(word) for word in own):
        return any(_stands_word(word, folded) for word in own)
    own = [word for word in own if not is_people(word)]
    last = [own[-1], *_telling_words(name.partition(" of ")[0])[-1:]]
    pairs = (" ".join(two) for two in pairwise(own))
    return any(_stands_word(word, folded) for word in last) or any(_holds(folded, pair) for pair in pairs)


def only_in(
    voices: Sequence[Voice], elsewhere: str = "", words: Iterable[str] = (), known: frozenset[str] = frozenset()
) -> dict[str, Own]:
    """By perspective, what its voice alone uses, of all voices and the text `elsewhere`.

    `words` are further terms, `known` words that are names elsewhere, as of `find_names`.
    """
    known = known.union(*(capitals_inside(voice.text) for voice in voices))
    folded = {voice.perspective: fold(voice.text) for voice in voices}
    outside, terms = fold(elsewhere), list(words)
    own: dict[str, Own] = {}
    for voice in voices:
        others = " ".join([outside, *(text for name, text in folded.items() if name != voice.perspective)])
        given = [name.text for name in (*find_names(voice.text, known), *find_terms(voice.text))]
        given += [word for word in terms if _holds(folded[voice.perspective], fold(word))]
        names = {fold(_bare(name)) for name in given if not _shares_word(name, others)} - _GENERIC
        plain = _plain_words(folded[voice.perspective]) - _plain_words(others)
        own[voice.perspective] = Own(frozenset(names), frozenset(plain))
    return own


def _plain_words(folded: str) -> set[str]:
    """The longer words of a text; in a script without spaces every four characters on end."""
    if folded.count(" ") * 20 < len(folded):
        return {folded[i : i + 4] for i in range(len(folded) - 3) if folded[i : i + 4].isalpha()}
    return {word for word in re.findall(r"[^\W\d_]+", folded) if len(word) >= SHORTEST}


def trace_names(text: str, voices: Sequence[Voice], hidden: Sequence[Span] = ()) -> tuple[Trace, ...]:
    """The names of an answer that a voice holds, each with the perspectives of those voices; not inside `hidden`."""
    folded = {voice.perspective: fold(voice.text) for voice in voices if voice.error is None}
    traces = []
    for name in find_names(text):
        if is_generic(name.text) or any(start < name.end and name.start < end for start, end in hidden):
            continue
        whole = _holders(name.text, folded, whole=True)
        for part in [name] if whole else _parts(name, folded):
            if held := (whole if " " in name.text else ()) or _holders(part.text, folded):
                traces.append(Trace(part.start, part.end, part.text, held))
    return tuple(traces)


def _holders(name: str, folded: Mapping[str, str], *, whole: bool = False) -> tuple[str, ...]:
    return tuple(
        perspective
        for perspective, said in folded.items()
        if (_holds(said, fold(name)) if whole else stands_in(name, said))
    )


def _parts(name: Name, folded: Mapping[str, str]) -> list[Name]:
    """The name itself; or, where two names of the voices have met ("in India Gandhi"), each of its two words."""
    words = list(_WORD.finditer(name.text))
    if len(words) != 2 or any(is_generic(m.group()) or not _holders(m.group(), folded) for m in words):
        return [name]
    return [Name(name.start + m.start(), name.start + m.end(), m.group()) for m in words]


_ENDINGS = _words("s es a n ns an ans ia ian ians ean eans ish ese i is ism ist ists")
_PEOPLES = frozenset(re.split(r",\s*", fold(PEOPLES).strip()))
_GENERIC = _words(
    "king queen saint san santa great new old north south east west northern southern eastern western central upper "
    "university church court supreme council act law republic kingdom united states prince emperor pope bishop "
    "american european english british river mountain sea island islands people peoples first second world war god "
    "gods prophet bible scripture christian christians empire dynasty state province region district city valley hills "
    "mountains rivers lake bay coast basin delta desert forest"
)


def _holds(folded: str, word: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", folded))


def _telling_words(name: str) -> list[str]:
    return [word for word in own_words(name) if len(word) > 2]


def _stands_whole(name: str, folded: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(fold(_bare(name)))}(?:s|es)?(?!\w)", folded))


def _stands_word(word: str, folded: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(_stem(word))}(?:{'|'.join(_ENDINGS)})?(?!\w)", folded))


def _shares_word(name: str, folded: str) -> bool:
    """Whether a name stands in a folded text, or any of its own words does."""
    return _stands_whole(name, folded) or any(_stands_word(word, folded) for word in _telling_words(name))


def _bare(name: str) -> str:
    return re.sub(r"['’]s$", "", name)


def _stem(part: str) -> str:
    """Without the ending of a plural or a teaching, so that a people and its adjective meet."""
    return re.sub(r"(?<=\w{4})(?:is[mt]s?|ians?|eans?|ans?|es|s|n|y)$", "", part)


def _name(text: str, run: Sequence[re.Match[str]]) -> Name:
    start, end = run[0].start(), run[-1].end()
    shown = text[start:end]
    bare = _bare(shown)
    return Name(start, start + len(bare), bare)


def _is_capitalised(word: str) -> bool:
    """Also with a small article before it: al-Ghazali, d'Alembert."""
    return word[0].isupper() or bool(
        re.match(r"\w{1,4}['’ʻ-][^\W\d_]", word)
        and re.search(r"['’ʻ-](?=\w)", word)
        and re.split(r"['’ʻ-]", word, maxsplit=1)[1][:1].isupper()
    )


def _continues(last: str, gap: str) -> bool:
    """Whether a name may go on after this word and gap: a possessive ends one, an initial may have its point."""
    if re.search(r"['’]s$", last):
        return False
    return bool(re.fullmatch(r"[ \-\u00a0]|\. ?" if len(last) == 1 else r"[ \-\u00a0]", gap))


def _is_ordinary(run: Sequence[re.Match[str]], text: str) -> bool:
    """Whether the word that begins a sentence, and this run, is no part of the name after it."""
    word = run[0].group()
    if word.lower() in _COMMON:
        return True
    if len(run) > 1:
        return run[1].group() == "of" or bool(re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", text))
    return False


def _starts_sentence(text: str, place: int) -> bool:
    return bool(_SENTENCE_START.search(text, max(0, place - 12), place)) or place == 0
