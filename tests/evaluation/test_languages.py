"""Texts in the world's languages are measured, or it is said what cannot be read; nothing counts as zero in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiplex.errors import ContentError
from multiplex.evaluation import Evaluator
from multiplex.evaluation.corpus import Passage
from multiplex.evaluation.evaluator import Extracted
from multiplex.evaluation.extraction.frames import default_frame
from multiplex.evaluation.extraction.gazetteer import shipped_gazetteer
from multiplex.evaluation.extraction.judge import OF_PERSPECTIVE
from multiplex.evaluation.extraction.references import Reference
from multiplex.evaluation.languages.files import MEASURABLE, known_languages, read_language
from multiplex.evaluation.languages.lexicon import ENGLISH_DEPTH, Lexicon
from multiplex.evaluation.languages.reading import UnreadError
from multiplex.evaluation.languages.recognition import language_of, recognise
from multiplex.evaluation.measures import Measures
from multiplex.evaluation.scorer import Scorer, Unread
from multiplex.evaluation.statistics.summary import Tally
from multiplex.present.summary import language_notes, unread_object
from multiplex.text.sentences import split


def test_no_stop_in_a_form_ends_a_sentence() -> None:
    gazetteer = shipped_gazetteer()
    files = [read_language(path, gazetteer.names, gazetteer.concepts) for path in known_languages().values()]
    forms = [form for file in files for of in (file.names, file.concepts) for each in of.values() for form in each]
    assert [form for form in forms if len(split(f"1 {form} 2.")) > 1] == []


# "In Japan elders are greeted first. The Koran commands kindness to parents. In Nigeria the family decides together."
SAME = {
    "en": "In Japan elders are greeted first. The Quran commands kindness to parents. "
    "In Nigeria families decide together.",
    "es": "En Japón se saluda primero a los ancianos. El Corán ordena la bondad con los padres. "
    "En Nigeria la familia decide unida.",
    "pt": "No Japão os mais velhos são cumprimentados primeiro. O Alcorão ordena a bondade com os pais. "
    "Na Nigéria a família decide em conjunto.",
    "fr": "Au Japon, on salue d'abord les anciens. Le Coran ordonne la bonté envers les parents. "
    "Au Nigeria, la famille décide ensemble.",
    "de": "In Japan werden die Älteren zuerst gegrüßt. Der Koran gebietet Güte gegen die Eltern. "
    "In Nigeria entscheidet die Familie gemeinsam.",
    "ru": "В Японии сначала приветствуют старших. Коран велит быть добрым к родителям. "
    "В Нигерии семья решает всё вместе.",
    "tr": "Japonya'da önce yaşlılar selamlanır. Kur'an anne babaya iyilik etmeyi emreder. "
    "Nijerya'da aile birlikte karar verir.",
    "id": "Di Jepang orang tua disapa lebih dahulu. Al-Qur'an memerintahkan kebaikan kepada orang tua. "
    "Di Nigeria keluarga memutuskan bersama.",
    "sw": "Nchini Japani wazee husalimiwa kwanza. Kurani inaamuru wema kwa wazazi. "
    "Nchini Nigeria familia huamua pamoja.",
    "el": "Στην Ιαπωνία χαιρετούν πρώτα τους ηλικιωμένους. Το Κοράνι προστάζει την καλοσύνη προς τους γονείς. "
    "Στη Νιγηρία η οικογένεια αποφασίζει μαζί.",
    "ar": "في اليابان يُحيّا الكبار أولا. يأمر القرآن بالإحسان إلى الوالدين. في نيجيريا تقرر الأسرة معا.",
    "fa": "در ژاپن اول به بزرگترها سلام می‌کنند. قرآن به نیکی به پدر و مادر فرمان می‌دهد. "
    "در نیجریه خانواده با هم تصمیم می‌گیرد.",
    "hi": "जापान में पहले बड़ों को नमस्कार किया जाता है। क़ुरान माता-पिता के साथ भलाई का आदेश देता है। "
    "नाइजीरिया में परिवार मिलकर निर्णय लेता है।",
    "zh": "在日本，人们先向长辈问好。《古兰经》命令人善待父母。在尼日利亚，家庭共同做决定。",
    "ja": "日本では、まず年長者に挨拶をする。コーランは親に親切にするよう命じている。"
    "ナイジェリアでは家族が一緒に決める。",
    "ko": "일본에서는 어른에게 먼저 인사한다. 꾸란은 부모에게 친절하라고 명한다. "
    "나이지리아에서는 가족이 함께 결정한다.",
    "am": "በጃፓን ሽማግሌዎች መጀመሪያ ሰላምታ ይሰጣቸዋል። ቁርኣን ለወላጆች ደግነትን ያዛል። በናይጄሪያ ቤተሰብ በጋራ ይወስናል።",
    "az": "Yaponiyada əvvəlcə yaşlılar salamlanır. Quran valideynlərə yaxşılıq etməyi əmr edir. "
    "Nigeriyada ailə birlikdə qərar verir.",
    "ha": "A ƙasar Japan ana gaishe da dattawa da farko. Alƙur'ani ya yi umarni da kyautata wa iyaye. "
    "A Nijeriya iyali suna yanke shawara tare.",
}


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator(sentiment=False)


@pytest.mark.parametrize("language", SAME)
def test_the_same_sentences_refer_to_the_same_perspectives_or_are_told_as_unread(
    evaluator: Evaluator, language: str
) -> None:
    text = SAME[language]
    assert language_of(text) == language
    if language != "en" and language not in known_languages():
        with pytest.raises(UnreadError) as told:
            evaluator.measure(text)
        assert dict(told.value.reading.why_not).keys() >= {"names", "concepts"}
        return
    measures = evaluator.measure(text)
    assert [(each.sentence, each.perspective) for each in measures.references] == [
        (0, "east_asian"),
        (1, "islamic"),
        (2, "african"),
    ]
    assert measures.n == 3
    for each in measures.references:
        assert text[each.start : each.end] == each.text


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Japan mein log sabse pehle buzurgon ko salaam karte hain aur khana khate hain.", ""),
        ("Konfuzianismus", ""),
        # particles are written together with the next word, so that few stand alone
        (
            "العائلات اليابانية تحترم كبار السن. الأفارقة يؤمنون بفلسفة أوبونتو. يرى المسلمون أن الزكاة واجبة. "
            "الناس يحبون السلام.",
            "ar",
        ),
        ("Ayudó a mi tío a llevar a la abuela a la plaza.", "es"),  # "a" is French, Portuguese and Italian too
        ("Was kannst du tun?", "de"),
        ("Pemerintah memberi bantuan kepada petani miskin.", "id"),
        ("Mobil Jepang itu dijual di toko di sudut jalan.", "id"),  # the detector says Malay
        ("Kami tidak boleh pergi ke pasar kerana hujan lebat.", "ms"),
        ("Chelsea won the match.", "en"),  # "wọn" is Yoruba
        ("12 345", ""),
        ("የኢትዮጵያ ሰዎች ቡና ይወዳሉ።", "am"),
        ("ናይ ኤርትራ ሰብ እዩ ኣብ ዓዲ።", "ti"),
        ("অসমত বিহু পালন কৰা হয়।", "as"),
        ("Kumaha urang Sunda nu biasa dahar sareng kulawarga dina dinten lebaran?", "su"),
        ("د افغانستان خلک په کور کې څه کوي او له چا سره دي؟", "ps"),
        ("Ｉｎ Ｊａｐａｎ ｅｌｄｅｒｓ ａｒｅ ｇｒｅｅｔｅｄ ｆｉｒｓｔ.", "en"),
    ],
)
def test_a_language_is_told_by_its_script_and_words_or_not_recognised(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Prophet said إنما الأعمال بالنيات as the القرآن does.", {"islamic"}),
        ("El \u202eJap\u202côn y el Japo\u0301n son países.", {"east_asian"}),
        ("En el Japo\u0301n se saluda primero a los ancianos.", {"east_asian"}),
        ("EN JAPÓN SE SALUDA PRIMERO A LOS ANCIANOS.", {"east_asian"}),
        ("وبالنيجيريين وللصينيّينَ عاداتٌ في الأسرة.", {"african", "east_asian"}),
        ("En la empresa alemana trabaja una actriz japonesa.", set()),
        ("La familia se reunió con respeto y confianza.", set()),
        ("El conejillo de Indias vive en el océano Índico.", set()),
        ("La Navidad en la cultura mexicana.", {"latin_american"}),
        ("La lengua árabe y el idioma japonés se aprenden en un coche alemán.", set()),
        ("彼はフランス語とアラビア語を話す。", set()),
        ("Il habite boulevard Voltaire, près du métro, avec sa femme.", set()),
        ("Defienden los derechos individuales y comen ceviche en la casa.", set()),  # all societies; a dish
        ("他会阿拉伯语和西班牙语，回教室打印加急文件。", set()),
        ("Benin adım Ayşe ve bu kitap benim çok sevdiğim bir hikâye.", set()),  # my
        ("Benin'de aileler yaşlılara saygı gösterir ve onlarla yaşar.", {"african"}),
        ("Kilisedeki haçlar eskiydi ve kapıda bekleyen adamlar vardı.", set()),  # crosses, not hajj
        ("Araplar ve Kazakların aileleri burada yaşıyor.", {"islamic"}),
        ("اشترى الرجل سيارة رولز رويس جديدة في المدينة الكبيرة.", set()),  # a car, not Rawls
        ("Ｉｎ Ｊａｐａｎ ｅｌｄｅｒｓ ａｒｅ ｇｒｅｅｔｅｄ ｆｉｒｓｔ.", {"east_asian"}),
    ],
)
def test_names_are_found_however_they_are_written(evaluator: Evaluator, text: str, found: set[str]) -> None:
    measures = evaluator.measure(text)
    assert {name for name, count in measures.counts.items() if count} == found


def test_an_echo_is_one_whatever_language_the_question_was_asked_in(evaluator: Evaluator) -> None:
    measures = evaluator.measure("Muslims pay zakat.", question="¿Qué dicen los musulmanes sobre la familia?")
    assert [(each.entity, each.echo) for each in measures.references] == [("islam", True), ("zakat", False)]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("what does islam say about family?", "Islam says that kin come first."),
        ("familles japonaises", "Les familles japonaises respectent les anciens et elles sont polies."),
        ("Буддизм", "Буддизм — это религия, которая появилась давно."),
    ],
)
def test_an_echo_is_one_of_a_question_without_capitals_or_too_short_to_tell_its_language(
    evaluator: Evaluator, question: str, text: str
) -> None:
    measures = evaluator.measure(text, question=question)
    assert [each.echo for each in measures.references] == [True]
    assert measures.n == 0


def test_a_sentence_of_another_language_inside_a_text_is_read_or_told() -> None:
    text = (
        "In Japan elders are greeted first. Die Würde des Menschen ist in der Familie und im Staat unantastbar. "
        "They eat rice every day, and they like it. Мы всегда едим вместе, и это очень важно."
    )
    assert recognise(split(text)).sentences == (("en",), ("de",), ("en",), ("ru",))


def test_a_text_that_is_not_read_is_null_with_a_reason_and_in_no_mean(evaluator: Evaluator) -> None:
    texts = ["Ubuntu and zakat are in this text.", "Qafar rakaakayih doolatih simbilih bisittek maqna macaay kinni le."]
    passages = [Passage(str(number), text, number) for number, text in enumerate(texts, 1)]
    scored, unread = Scorer(evaluator).score(passages)
    assert isinstance(unread, Unread)
    written = unread_object(unread)
    assert {written[name] for name in ("n", "entropy", "excluded", "counts", "sentiment", "references")} == {None}
    assert written["unread"]["names"]
    with Tally(evaluator.frame, evaluator.cues) as tally:
        tally.add(scored.measures)  # type: ignore[union-attr]  # English is read
        tally.leave_out("hi", dict(unread.reading.why_not))
        summary = tally.summary()
    assert summary is not None
    assert (summary.texts, summary.left_out, summary.with_reference.value) == (1, 1, 1.0)
    assert language_notes(summary)[0] == "1 of 2 texts are in languages whose names and concepts are not read: Hindi 1."


def test_a_judges_references_are_read_in_any_language_and_left_out_where_the_prompt_has_their_words() -> None:
    evaluator = Evaluator(sentiment=False)

    def judged(text: str, prompt: str, **quoted: str) -> Measures:
        references = tuple(
            Reference(at, at + len(words), words, f"judge:{words}", perspective, "concept", number,
                      facets=OF_PERSPECTIVE[perspective])
            for number, (perspective, words) in enumerate(quoted.items())
            if (at := text.index(words)) >= 0
        )  # fmt: skip
        prepared = evaluator.prepared(Passage("1", text, 1, prompt=prompt), read_here=False)
        return evaluator.measured([Extracted(prepared, references)])[0]

    georgian = judged("ისლამი გვასწავლის, რომ მდიდარმა ღარიბს უნდა მისცეს.", "", islamic="ისლამი")
    assert (georgian.language, georgian.n, georgian.entropy, georgian.depth) == ("ka", 1, 0.0, None)
    assert (georgian.unread, georgian.unread_sentences) == ({"depth": ENGLISH_DEPTH}, {})
    english = judged("Zakat binds. Ubuntu binds.", "Speak of zakat.", islamic="Zakat", african="Ubuntu")
    assert (english.n, english.entropy_unprompted) == (2, 0.0)


def test_tone_and_depth_of_another_language_are_null_and_of_english_as_before() -> None:
    evaluator = Evaluator()
    english = "Freedom is a joy."
    spanish = "En Japón se saluda primero a los ancianos."
    alone, foreign, mixed = (evaluator.measure(text) for text in (english, spanish, f"{english} {spanish}"))
    assert (foreign.sentiment, foreign.depth, foreign.entropy) == (None, None, 0.0)
    assert {"tone", "depth"} <= foreign.unread.keys()
    assert alone.unread == {}
    assert alone.sentiment == mixed.sentiment or mixed.language == "es"


GOOD = {
    "language": "xx", "name": "X", "written": "spaces", "names": {"japan": ["Xapan"]}, "concepts": {"zakat": ["zakxt"]},
    "read": dict.fromkeys(MEASURABLE, True),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"names": {"atlantis": ["Atlantis"]}}, "names.atlantis"),
        ({"concepts": {"japan": ["Xapan"]}}, "concepts.japan"),
        ({"concepts": {"zakat": ["Xapan"]}}, "already stands under names.japan"),
        ({"language": "yy"}, "language: 'yy' is not the file's name"),
        ({"written": "sideways"}, "written"),
        ({"reads": {}}, "reads"),
    ],
)
def test_a_wrong_language_file_is_told_with_line_and_field(
    tmp_path: Path, change: dict[str, object], told: str
) -> None:
    gazetteer = shipped_gazetteer()
    path = tmp_path / "xx.yaml"
    path.write_text(json.dumps(GOOD, indent=1), "utf-8")
    read_language(path, gazetteer.names, gazetteer.concepts)
    path.write_text(json.dumps(GOOD | change, indent=1), "utf-8")
    with pytest.raises(ContentError, match=r"xx\.yaml:\d+: ") as error:
        read_language(path, gazetteer.names, gazetteer.concepts)
    assert told in str(error.value)


@pytest.mark.parametrize("language", known_languages())
def test_a_shipped_language_knows_every_perspective_and_its_countries(language: str) -> None:
    gazetteer = shipped_gazetteer()
    path = known_languages()[language]
    content = read_language(path, gazetteer.names, gazetteer.concepts)
    lexicon = Lexicon.load(path, gazetteer)
    by_perspective = [default_frame().home(name, gazetteer.entities[name].facets) for name in content.concepts]
    assert all(by_perspective.count(name) >= 10 for name in Evaluator().frame)
    missed = [
        form
        for part in (content.names, content.concepts)
        for name, forms in part.items()
        for form in forms
        if name not in lexicon.ids_in(form)
    ]
    assert missed == []
