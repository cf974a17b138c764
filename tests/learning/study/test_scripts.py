"""Pages in other scripts, and pages without names, are read as others are."""

import pytest

from sealserve.grading.answers import is_right, is_unknown, normalised
from sealserve.learning.study.grounding import answer_span, is_about, share_of_roots
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.sentence_questions import Sentence, studied_sentences, usable_question
from sealserve.records.step_outputs import Passage
from sealserve.writing_systems import count_words, language_of, sentences_of

PAGES = {
    "English": (
        "parcels leave on monday. a refund is paid in crowns.",
        "when do parcels leave?",
        "on monday",
        "monday",
    ),
    "German": ("Die Werft öffnet um acht. Das Tor ist grün.", "Wann öffnet die Werft?", "Um acht.", "um acht"),
    "Russian": ("Склад открывается в восемь. Ворота зелёные.", "Когда открывается склад?", "В восемь.", "в восемь"),
    "Chinese": ("仓库八点开门。大门是绿色的。", "仓库几点开门？", "八点。", "八点"),
    "Japanese": ("倉庫は八時に開きます。門は緑色です。", "倉庫は何時に開きますか。", "八時です。", "八時"),
    "Thai": ("โกดังเปิดเวลาแปดโมง ประตูทาสีเขียว", "โกดังเปิดเวลาใด", "แปดโมง", "แปดโมง"),
    "Korean": ("창고는 여덟 시에 엽니다. 문은 초록색입니다.", "창고는 언제 엽니까?", "여덟 시", "여덟 시"),
    "Arabic": ("يفتح المستودع في الثامنة. البوابة خضراء.", "متى يفتح المستودع؟", "في الثامنة.", "في الثامنة"),
    "Hebrew": ("המחסן נפתח בשמונה. השער ירוק.", "מתי נפתח המחסן?", "בשמונה.", "בשמונה"),
    "Hindi": ("गोदाम आठ बजे खुलता है। फाटक हरा है।", "गोदाम कब खुलता है?", "आठ बजे", "आठ बजे"),
}


@pytest.mark.parametrize("language", PAGES)
def test_a_page_is_asked_about_and_answered_in_any_language(language: str) -> None:
    page, question, answer, span = PAGES[language]
    assert len(sentences_of(page)) == 2
    assert is_about(question, page)
    assert answer_span(answer, question=question, document=page) == span
    assert is_right(page, span)
    assert share_of_roots(sentences_of(page)[0], page) == 1.0


def test_a_question_about_something_else_is_not_about_a_page_without_names() -> None:
    assert not is_about("How long does a mortgage take?", "Returns take nine days.")
    assert not is_about("What does Oskar pay for parcels that leave?", PAGES["English"][0])
    assert not is_about("银行几点关门？", "渡轮从四号码头出发。")


def test_vowel_signs_belong_to_the_word_and_digits_are_digits() -> None:
    assert normalised("मीरा होल्ट") == "मीरा होल्ट"
    assert is_right("السعر ٤٥ كرونة", "45 كرونة")
    assert not is_right("السعر ٤٦ كرونة", "45 كرونة")
    assert is_right("कीमत ४५ रुपये है", "45 रुपये")


@pytest.mark.parametrize(
    "given",
    [
     "모르겠습니다.", "Das weiß ich nicht.", "No lo sé.", "Je ne sais pas.", "Не знаю.", "我不知道。", "分かりません。",
     "لا أعرف.", "मुझे नहीं पता।", "ไม่ทราบ", "לא ידוע."],
)  # fmt: skip
def test_the_commonest_abstention_of_each_language_is_known(given: str) -> None:
    assert is_unknown(given)


def test_a_language_is_named_by_its_script_or_its_function_words() -> None:
    named = {name: language_of(page) for name, (page, *_) in PAGES.items()}
    assert named == {name: name for name in PAGES} | {"Russian": "Cyrillic script"}, "hardly a function word in it"
    assert language_of("Магазин открыт до восьми, но не по воскресеньям, и это так у всех.") == "Russian"
    assert language_of("Der Laden ist bis acht Uhr geöffnet, und am Sonntag ist er zu.") == "German"
    assert language_of("Магазин відчинено щодня, крім неділі.") == "Cyrillic script"
    assert language_of("Kestrel 4512, 4513, 4514") == ""
    assert language_of("") == ""


def test_short_sentences_without_spaces_are_studied_and_long_ones_cut() -> None:
    text = "仓库八点开门。" + "灯" * 400
    study = Study(passage=Passage(document="d", title="", start=0, end=len(text)), text=text)
    parts = studied_sentences(study)
    assert parts[0].text == "仓库八点开门。"
    assert all(count_words(one.text) <= 80 for one in parts)


def test_a_question_that_does_not_name_its_title_is_asked_under_it_in_its_own_language() -> None:
    sentence = Sentence(text="仓库八点开门。")
    asked = usable_question("仓库几点开门？", sentence, title="规则", passage=sentence.text)
    assert asked == "规则: 仓库几点开门？"
