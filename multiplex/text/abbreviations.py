"""Abbreviations, and the words that begin sentences: whether a full stop behind the one and before the other ends one.

Of English, and of the languages of `eval/languages/`. All in small letters but `TITLES`.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEVER = _words(
    "mr mrs ms dr prof rev vs cf viz e.g i.e approx "
    "sra sras srta srtas dra dras dña profa mons núm pág págs ej p.ej séc sécs "
    "mme mmes mlle mlles mgr mgrs av "
    "bzw bspw hl nr sog vgl evtl ggf inkl insb "
    "св напр проф акад αγ άγ δρ δηλ örn bkz doç məs mwl डॉ डा प्रो पं"
)
"""A full stop behind these never ends a sentence: something always follows."""

TITLES = _words("Sto Sta Ste Tn Ny Ir Bi Bw Hj")
"""The same, where they are written with a capital; in small letters some are words."""

NUMBERED = _words("no art sec kap abs cap ст стр")
"""The same, before a number."""

LAST = _words("etc uu chr jh jahrh гг вв κλπ dll dsb dst")
"""These often stand last, too: the words that begin sentences in any of the languages tell."""

LAST_LETTERS = _words("a г в д")
"""So do these, where they are small."""

SELDOM = LAST | _words(
    "st mt ft jr sr fr hon ven gen col lt capt sgt pres gov sen rep dept univ est inc ltd co corp al ca "
    "fig figs vol ch pp ed eds trans jan feb mar apr jun jul aug sep sept oct nov dec ee hz mm drs"
)
"""Behind these, and behind initials, it ends one only where the next word begins sentences."""

ENGLISH_STARTERS = _words(
    "the this that these those in on at for from to with by as it its he she they we you his her their our my "
    "there here but and so yet if when while where what who why how although though because since after before "
    "however moreover therefore thus also many most some few all both each every no not one another such "
    "people families elders among within across even instead similarly finally"
)

STARTERS = ENGLISH_STARTERS | _words(
    "el la los las un una unos unas lo se su sus este esta estos estas con por para sin según pero como aunque cuando "
    "también además así ellos ellas nosotros muchos muchas algunos algunas todos todas cada "
    "le les des ce cet cette ces il elle ils elles nous vous je leur leurs mais ou donc car dans au aux avec pour par "
    "sans selon comme aussi ainsi cependant quand si plusieurs certains tous toutes chaque "
    "os as um uma em na nas nos com mas embora quando também assim ele ela eles elas nós muitos muitas alguns cada "
    "der die das den dem ein eine einen einem einer er sie es wir ihr ich man aber und oder doch wenn als wie weil im "
    "am auf bei für mit nach von vor zu zum zur auch dann daher viele manche alle jede jeder kein keine "
    "на но или если когда где как это этот эта эти он она они мы вы его её их для из по от до при также поэтому "
    "однако многие некоторые все каждый каждая не "
    "το οι τα των στην στο στη σε από για με και αλλά αν όταν όπως επίσης αυτός αυτή αυτό αυτοί εμείς πολλοί κάθε "
    "bu bunlar bunu onlar ve ama fakat ancak bir biz çünkü eğer için ayrıca her bazı birçok və amma lakin mən çünki "
    "əgər hər ini itu dan tetapi namun jika ketika di ke dari untuk dengan karena mereka kami kita setiap semua banyak "
    "hii hizo huu kwa katika wao sisi yeye watu wazee"
)

COUNTED = _words(
    "jahrhundert jahrhunderts jahrhunderte jahrhunderten jahrtausend jahrtausends jahrtausende weltkrieg weltkriegs "
    "weltkrieges weltkriege januar februar märz april mai juni juli august september oktober november dezember kapitel "
    "gebot sure auflage lebensjahr tag buch dünya yüzyıl yüzyılda asır əsr əsrdə"
)
"""Words behind an ordinal, which German and the Turkic languages write with a full stop."""
