"""The task classifier: what it tells of obvious prompts, what it bears, and that it keeps nothing."""
# ruff: noqa: E501, RUF001

import io
import json
import random
import time
from dataclasses import replace
from typing import Any

import pytest

from gateway import log
from gateway.content import EMPTY, Document
from gateway.contracts import Call
from gateway.names import Slug
from gateway.records import PathKind
from gateway.routers.classifiers import linear
from gateway.routers.classifiers.features import GROUPS, SINGLE, features, tokenize
from gateway.routers.classifiers.linear import Linear, model, probabilities
from gateway.routers.classifiers.reading import HEAD, TAIL, Prompt, of_messages, read
from gateway.routers.classifiers.weights import WeightsError, dump, pack, parse, unpack

OBVIOUS: dict[str, list[tuple[str, str]]] = {
    "en": [
        ("code_generation", "Write a Python function that merges two sorted lists"),
        ("code_assist", "Why does this crash?\n```\nint *p = NULL; *p = 3;\n```\nPlease fix the bug"),
        (
            "reasoning",
            "A train leaves at 3 pm at 80 km/h. How far has it gone by 5:30 pm? Solve step by step.",
        ),
        ("open_qa", "What is the capital of Mongolia?"),
        (
            "summarization",
            "Summarize the following article in three bullet points:\nThe council met today. ...",
        ),
        ("translation", "Translate this sentence into Italian: Where is the station?"),
        ("rewriting", "Rephrase this paragraph so that it sounds more formal: hey, gonna be late, sorry"),
        ("classification", "Classify the sentiment of this review as positive or negative: I loved it"),
        ("extraction", "Extract all names and dates from the text below:\nAnna met Ben on 3 May 2020."),
        ("writing", "Write a short poem about the sea in winter"),
        ("brainstorming", "Give me ten ideas for a birthday party for my 6 year old"),
        ("chat", "hey, how are you doing today?"),
    ],
    "zh": [
        ("code_generation", "用Python写一个快速排序的函数"),
        ("translation", "把下面的句子翻译成英文：今天天气很好"),
        ("summarization", "请总结以下文章的主要内容：昨天，市政府召开了会议……"),
        ("open_qa", "法国的首都是哪里？"),
        ("writing", "写一首关于秋天的诗"),
        ("brainstorming", "给我推荐十个周末活动的创意"),
    ],
    "ru": [
        ("code_generation", "Напиши функцию на Python, которая сортирует список"),
        ("translation", "Переведи на английский: сегодня хорошая погода"),
        ("summarization", "Кратко перескажи следующий текст: Вчера в городе открылся новый музей."),
        ("open_qa", "Какая столица Австралии?"),
        ("writing", "Напиши короткий рассказ о старом моряке"),
        ("brainstorming", "Предложи десять идей для подарка маме"),
    ],
    "de": [
        ("code_generation", "Schreibe eine Python-Funktion, die eine Liste sortiert"),
        ("translation", "Übersetze den folgenden Satz ins Englische: Das Wetter ist heute schön."),
        ("summarization", "Fasse den folgenden Text zusammen: Gestern wurde das neue Museum eröffnet."),
        ("open_qa", "Was ist die Hauptstadt von Kanada?"),
        ("writing", "Schreib ein Gedicht über den Herbst"),
        ("brainstorming", "Gib mir zehn Ideen für ein Geschenk zum Geburtstag"),
    ],
    "es": [
        ("code_generation", "Escribe una función en Python que ordene una lista"),
        ("translation", "Traduce al inglés la siguiente frase: hoy hace buen tiempo"),
        ("summarization", "Resume el siguiente texto: Ayer se inauguró el nuevo museo de la ciudad."),
        ("open_qa", "¿Cuál es la capital de Perú?"),
        ("writing", "Escribe un poema sobre el otoño"),
        ("brainstorming", "Dame diez ideas para una fiesta de cumpleaños"),
    ],
    "fr": [
        ("code_generation", "Écris une fonction Python qui trie une liste"),
        ("translation", "Traduis cette phrase en anglais : il fait beau aujourd'hui"),
        ("summarization", "Résume le texte suivant : Hier, le nouveau musée a ouvert ses portes."),
        ("open_qa", "Quelle est la capitale du Canada ?"),
        ("writing", "Écris un poème sur l'automne"),
        ("brainstorming", "Donne-moi dix idées de cadeaux pour ma mère"),
    ],
    "ja": [
        ("code_generation", "リストをソートするPythonの関数を書いてください"),
        ("translation", "次の文を英語に翻訳してください：今日は天気がいいです"),
        ("summarization", "次の文章を要約してください：昨日、新しい美術館が開館しました。"),
        ("open_qa", "カナダの首都はどこですか？"),
        ("writing", "秋についての詩を書いてください"),
        ("brainstorming", "誕生日パーティーのアイデアを10個提案して"),
    ],
    "pt": [
        ("code_generation", "Escreva uma função em Python que ordena uma lista"),
        ("translation", "Traduza para o inglês: hoje o tempo está bom"),
        ("summarization", "Resuma o seguinte texto: Ontem o novo museu da cidade foi inaugurado."),
        ("open_qa", "Qual é a capital do Canadá?"),
        ("writing", "Escreva um poema sobre o outono"),
        ("brainstorming", "Me dê dez ideias para uma festa de aniversário"),
    ],
    "ar": [
        ("code_generation", "اكتب دالة بلغة بايثون لترتيب قائمة"),
        ("translation", "ترجم الجملة التالية إلى الإنجليزية: الطقس جميل اليوم"),
        ("summarization", "لخص النص التالي: افتتح أمس المتحف الجديد في المدينة."),
        ("open_qa", "ما هي عاصمة كندا؟"),
        ("writing", "اكتب قصيدة عن الخريف"),
        ("brainstorming", "أعطني عشرة أفكار لحفلة عيد ميلاد"),
    ],
    "hi": [
        ("code_generation", "सूची को क्रमबद्ध करने के लिए पायथन में एक फ़ंक्शन लिखो"),
        ("translation", "इस वाक्य का अंग्रेज़ी में अनुवाद करो: आज मौसम अच्छा है"),
        ("summarization", "इस लेख का सारांश लिखो: कल शहर में नया संग्रहालय खुला।"),
        ("open_qa", "कनाडा की राजधानी क्या है?"),
        ("writing", "पतझड़ पर एक कविता लिखो"),
        ("brainstorming", "जन्मदिन की पार्टी के लिए दस विचार सुझाओ"),
    ],
}
NEEDED = {"en": 11}
"""How many must be told rightly; in other languages 5 of 6."""

CHAT = Slug("openai_chat")


@pytest.fixture(scope="module")
def classifier() -> Linear:
    return Linear(Linear.Config())


def call(tree: Any, dialect: str = "openai_chat") -> Call:
    kind = PathKind.CHAT
    return Call(dialect=Slug(dialect), kind=kind, model="m", stream=False, body=Document(tree, 1))


def asked(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("language", OBVIOUS)
def test_obvious_prompts_are_told_rightly(classifier: Linear, language: str) -> None:
    told = [classifier.labels(call(asked(text))).task for _, text in OBVIOUS[language]]
    wrong = [(one, text) for one, (task, text) in zip(told, OBVIOUS[language], strict=True) if one != task]
    assert len(told) - len(wrong) >= NEEDED.get(language, 5), wrong


TEXT = "Translate this sentence into Italian: Where is the station?"
DIALECTS = [
    ("openai_chat", asked(TEXT)),
    ("openai_chat", {"messages": [{"role": "user", "content": [{"type": "text", "text": TEXT}]}]}),
    ("anthropic_messages", asked(TEXT)),
    ("anthropic_messages", {"system": [{"type": "text", "text": ""}], **asked(TEXT)}),
    ("openai_responses", {"input": TEXT}),
    ("openai_responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": TEXT}]}]}),
    ("gemini_generate", {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]}),
    ("gemini_generate", {"contents": {"parts": {"text": TEXT}}}),
]


@pytest.mark.parametrize(("dialect", "tree"), DIALECTS)
def test_all_dialects_say_the_same(classifier: Linear, dialect: str, tree: dict[str, Any]) -> None:
    assert classifier.labels(call(tree, dialect)) == classifier.labels(call(asked(TEXT)))


SYSTEM = "You translate everything into French."
SYSTEMS = [
    ("openai_chat", {"messages": [{"role": "developer", "content": SYSTEM}, {"role": "user", "content": "a"}]}),
    ("anthropic_messages", {"system": SYSTEM, **asked("a")}),
    ("anthropic_messages", {"system": [{"type": "text", "text": SYSTEM}], **asked("a")}),
    ("openai_responses", {"instructions": SYSTEM, "input": "a"}),
    ("gemini_generate", {"systemInstruction": {"parts": [{"text": SYSTEM}]}, "contents": [{"parts": [{"text": "a"}]}]}),
    ("gemini_generate", {"system_instruction": SYSTEM, "contents": [{"parts": [{"text": "a"}]}]}),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "tree"), SYSTEMS)
def test_the_system_text_is_read_in_all_dialects(dialect: str, tree: dict[str, Any]) -> None:
    prompt = read(dialect, tree)
    assert prompt is not None
    assert (prompt.system, prompt.last, prompt.turns) == (SYSTEM, "a", 1)


ODD: list[Any] = [
    None, 5, "text", [], {}, {"messages": None}, {"messages": 5}, {"messages": [None, 5, [], "x"]},
    {"messages": [{"role": "user"}]}, {"messages": [{"role": "user", "content": 5}]},
    {"messages": [{"role": "user", "content": [None, 5, {"text": 5}, {"type": "image_url"}]}]},
    {"messages": [{"role": "user", "content": "   "}]}, {"messages": [{"role": ["user"], "content": "a"}]},
    {"messages": [{"role": "assistant", "content": "only an answer"}]},
    {"input": 5}, {"input": [5]}, {"instructions": 5}, {"contents": 5}, {"contents": [{"parts": 5}]},
    {"contents": [{"parts": [{"text": None}]}], "systemInstruction": 5}, {"system": {"a": 1}},
]  # fmt: skip


@pytest.mark.parametrize(
    "dialect", ["openai_chat", "anthropic_messages", "openai_responses", "gemini_generate"]
)
def test_odd_calls_leave_it_at_a_loss(classifier: Linear, dialect: str) -> None:
    for tree in ODD:
        labels = classifier.labels(call(tree, dialect))
        assert (labels.task, labels.confidence) == ("other", 0), tree
        assert classifier.scores(call(tree, dialect)) == {}


def test_a_dialect_it_does_not_read_and_a_form_leave_it_at_a_loss(classifier: Linear) -> None:
    assert classifier.labels(call({"input": "a"}, "openai_embeddings")).confidence == 0
    form = Call(dialect=CHAT, kind=PathKind.TRANSCRIPTION, model="m", stream=False, body=EMPTY)
    assert classifier.labels(form).confidence == 0


def test_scores_are_probabilities_of_all_labels(classifier: Linear) -> None:
    scores = classifier.scores(call(asked(TEXT)))
    assert set(scores) == set(model().labels)
    assert sum(scores.values()) == pytest.approx(1)
    labels = classifier.labels(call(asked(TEXT)))
    assert labels.task == max(scores, key=scores.__getitem__)
    assert labels.confidence == round(1000 * max(scores.values()))


def test_below_the_threshold_it_says_other() -> None:
    strict = Linear(Linear.Config())
    strict._model = replace(model(), threshold=1.1)
    labels = strict.labels(call(asked(TEXT)))
    assert labels.task == "other"
    assert labels.confidence > 0


def test_only_the_window_is_looked_at() -> None:
    text = "a" * HEAD + "NEVER" * 10 + "b" * TAIL
    prompt = of_messages(asked(text)["messages"])
    assert prompt is not None
    assert "NEVER" not in prompt.last
    assert (len(prompt.last), prompt.length) == (HEAD + TAIL + 1, len(text))


def test_many_turns_and_parts_are_passed_over_but_for_the_ends() -> None:
    turns = [{"role": "user", "content": f"turn {number}"} for number in range(100_000)]
    prompt = of_messages(turns)
    assert prompt is not None
    assert (prompt.earlier, prompt.last, prompt.turns) == ("turn 0", "turn 99999", 64)
    parts = [{"type": "text", "text": f"part {number}"} for number in range(100_000)]
    prompt = of_messages([{"role": "user", "content": parts}])
    assert prompt is not None
    assert prompt.last.startswith("part 0\n")
    assert prompt.last.endswith("part 99999")


HOSTILE = [
    "a" * 8_000_000, "`" * 8_000_000, "\n" * 8_000_000 + "x", "1) " * 3_000_000, " \n" * 4_000_000 + "x", "字" * 3_000_000,
    "(" * 8_000_000, "a_" * 4_000_000, "=>" * 4_000_000, "\u0301" * 2_000_000, "A) " * 2_000_000, "'" * 8_000_000,
    "x " + "\U0001f600" * 2_000_000, "a\u200b" * 2_000_000, "ß" * 4_000_000, "İ" * 4_000_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:3]))
def test_hostile_texts_of_eight_megabytes_cost_no_more_than_the_window(classifier: Linear, text: str) -> None:
    asks = call(asked(text))
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        classifier.labels(asks)
        best = min(best, time.perf_counter() - begun)
    assert best < 0.02  # some ten times what it takes on an idle machine


def test_nothing_of_a_prompt_stays(classifier: Linear) -> None:
    canary = "zqcanaryzq"
    out = io.StringIO()
    log.configure(log.Level.DEBUG, out)
    try:
        prompt = of_messages(asked(f"Translate {canary} please")["messages"])
        labels = classifier.labels(call(asked(f"Translate {canary} please")))
    finally:
        log.configure()
    assert canary not in repr(prompt) + repr(labels) + out.getvalue()
    held = [linear.__dict__, classifier.__dict__, model().groups[0].table]
    assert not any(canary in repr(one) for one in held)
    assert linear.model.cache_info().maxsize == 1  # the weights are all that is cached


def test_the_fast_sum_is_the_sum_of_the_weights() -> None:
    prompt = of_messages(asked(TEXT)["messages"])
    assert prompt is not None
    weights = model()
    count = len(weights.labels)
    totals = [0.0] * count
    for group, seen in zip(weights.groups, features(prompt), strict=True):
        for key in seen:
            if key in group.table:
                for place, one in enumerate(unpack(group.table[key], count)):
                    totals[place] += one * group.step / len(seen) ** group.power
    chances = probabilities(weights, prompt)
    assert chances.index(max(chances)) == totals.index(max(totals))
    assert all(
        (a < b) == (c < d)
        for a, c in zip(totals, chances, strict=True)
        for b, d in zip(totals, chances, strict=True)
        if abs(a - b) > 1e-6
    )


def test_features_fit_the_tables() -> None:
    prompt = Prompt(
        last="Summarize this:\n" + "word " * 100, system="You are kind", earlier="before", turns=2
    )
    for name, seen in zip(GROUPS, features(prompt), strict=True):
        assert all(isinstance(key, str if name in SINGLE else tuple) for key in seen), name
        for key in seen:
            assert "\n" not in key
            assert all(" " not in part and "\n" not in part for part in key)


def test_packed_numbers_add_up() -> None:
    rows = [(5, -7, 0), (-128, 127, 1), (-1, -1, -1)]
    assert unpack(sum(map(pack, rows)), 3) == (-124, 119, 0)


def test_numbers_too_large_for_their_fields_raise_nothing() -> None:
    assert len(unpack(1 << 200, 3)) == len(unpack(-(1 << 200), 3)) == 3


def test_ascii_is_taken_apart_as_any_text_is() -> None:
    chance = random.Random(5)
    for _ in range(2000):
        text = "".join(chr(chance.randrange(128)) for _ in range(40)).lower()
        assert tokenize(text) == tokenize(text + " \u0416")[:-1]


PLANS = [
    ("Is it red?", {("form", "asks", "m0", "none"), ("room", "m0", "one")}),
    ("Who came?\n\n" + "word " * 100, {("form", "asks", "m3", "tells"), ("room", "m3", "two")}),
    ("Sum this up: " + "word " * 300, {("form", "tells", "m4", "none"), ("open", "sum", "m4")}),
    ("a text\nof lines\nwhat is it?", {("form", "tells", "m1", "asks"), ("room", "m1", "many")}),
    ("Is it a fish or a rope?", {("or", "or", "asks", "m0")}),
    ("x" * (HEAD + TAIL + 5000), {("room", "m4", "two")}),
]


@pytest.mark.parametrize(("text", "wanted"), PLANS)
def test_what_is_asked_is_seen_beside_how_much_comes_along(text: str, wanted: set[tuple[str, ...]]) -> None:
    prompt = of_messages(asked(text)["messages"])
    assert prompt is not None
    assert wanted <= set(features(prompt)[GROUPS.index("plan")])


def test_follow_ups_have_no_plan() -> None:
    assert not features(Prompt(last="and now?", earlier="a", length=8, turns=2))[GROUPS.index("plan")]


HEADER = {
    "version": "v", "date": "d", "features": 1, "labels": ["a", "b"], "threshold": 0.1, "temperature": 1.0,
    "steps": [0.5, 0.25], "powers": [0.0, 0.5],
}  # fmt: skip


def test_a_file_of_weights_is_read_as_it_was_written() -> None:
    data = dump(HEADER, [(["one", "two"], bytes([1, 255, 128, 127])), ([("a", "b")], bytes([3, 4]))])
    weights = parse(data, [True, False])
    assert weights.labels == ("a", "b")
    assert [unpack(one, 2) for one in weights.groups[0].table.values()] == [(1, -1), (-128, 127)]
    assert unpack(weights.groups[1].table["a", "b"], 2) == (3, 4)
    assert (weights.groups[1].step, weights.groups[1].power) == (0.25, 0.5)


def test_empty_groups_are_read() -> None:
    weights = parse(dump(HEADER, [([], b""), ([], b"")]), [True, False])
    assert [dict(group.table) for group in weights.groups] == [{}, {}]


def test_a_changed_or_cut_file_is_refused() -> None:
    data = dump(HEADER, [(["one"], bytes(2)), ([], b"")])
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    for wrong in (bytes(flipped), data[:-1], b"", b"something else", data + b"x"):
        with pytest.raises(WeightsError):
            parse(wrong, [True, False])
    with pytest.raises(WeightsError):
        parse(data, [True])


def test_the_shipped_file_is_small_and_fits() -> None:
    path = linear.resources.files(linear.__package__).joinpath(linear.FILE)
    data = path.read_bytes()
    assert len(data) <= 1 << 20
    assert len(model().labels) == 13
    assert json.dumps(model().date)
