"""The most a call can cost: nothing that is really used may cost more."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import Content, Document
from gateway.contracts import Call, Shape
from gateway.ledger import estimate
from gateway.ledger.estimate import bound_input, guess_input, guess_tokens, most
from gateway.ledger.prices import PriceBook
from gateway.names import Slug
from gateway.records import PathKind
from gateway.usage import Factor, Price, Rates, Reading, Scheme, ServiceTier, Source, Usage, cost

V = Slug("v1")
FLAT = Price(version=V, standard=Scheme(base=Rates(input=1_000, output=10_000)))
FRAME = estimate.FRAME_TOKENS
PICTURE = "data:image/png;base64," + "A" * 50_000


def call(tree: dict[str, Any] | None = None, kind: PathKind = PathKind.CHAT, **shape: Any) -> Call:
    body = {"messages": [{"role": "user", "content": "Hello."}]} if tree is None else tree
    size = len(orjson.dumps(body))
    return Call(
        dialect=Slug("openai_chat"),
        kind=kind,
        model="m",
        stream=False,
        body=Document(body, size),
        shape=Shape(**{"body_bytes": size, **shape}),
    )


def form(size: int, **shape: Any) -> Call:
    return Call(
        dialect=Slug("openai_transcription"),
        kind=PathKind.TRANSCRIPTION,
        model="m",
        stream=False,
        body=Content(b"x" * size),
        shape=Shape(body_bytes=size, **shape),
    )


# --- input ----------------------------------------------------------------------------------------------


def test_a_text_has_no_more_tokens_than_bytes() -> None:
    one = call()
    assert bound_input(one) == one.shape.body_bytes + FRAME


@given(st.text(max_size=300))
def test_the_bound_is_above_the_guess(text: str) -> None:
    one = call({"messages": [{"role": "user", "content": text}]})
    assert bound_input(one) >= len(text.encode("utf-8", "surrogatepass")) // 1
    assert bound_input(one) + 2 * len(text) >= guess_tokens(text.encode())


def test_an_inline_picture_counts_as_a_picture_and_not_as_text() -> None:
    plain = call({"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}]}]})
    with_one = call(
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is it?"},
                        {"type": "image_url", "image_url": {"url": PICTURE}},
                    ],
                }
            ]
        },
        images=1,
    )
    more = bound_input(with_one, image_tokens=700) - bound_input(plain)
    assert 700 <= more < 800


def test_a_picture_behind_an_address_counts_the_same() -> None:
    tree = {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "https://example.org/"}}]}]}
    assert bound_input(call(tree, images=1)) - bound_input(call(tree)) == 5_000


def test_files_and_kept_text_bring_more_than_their_bytes() -> None:
    assert bound_input(call(files=2)) - bound_input(call()) == 200_000
    before = {"input": "x", "previous_response_id": "r"}
    assert bound_input(call(before), file_tokens=7) == len(orjson.dumps(before)) + FRAME + 7
    sound = {"contents": [{"parts": [{"fileData": {"mimeType": "audio/mp3", "fileUri": "u"}}]}]}
    assert bound_input(call(sound, audio=1), file_tokens=7) == len(orjson.dumps(sound)) + FRAME + 7


def test_tools_bring_instructions_and_the_providers_own_bring_text() -> None:
    tree = {"tools": [{"type": "web_search"}]}
    size = len(orjson.dumps(tree)) + FRAME
    assert bound_input(call(tree, tools=1)) == size + 1_000 + 101_000


def test_a_form_is_bounded_by_its_bytes() -> None:
    assert bound_input(form(1_000)) == 1_000 + FRAME


# --- the most ----------------------------------------------------------------------------------------------


def nanos(tokens: int, output: int) -> int:
    return tokens + output * 10


def test_output_is_what_the_call_allows_else_the_models_most_else_the_ceiling() -> None:
    tokens = bound_input(call())
    assert most(call(max_output=5), FLAT, model_output=7, ceiling_output=9) == nanos(tokens, 5)
    assert most(call(max_output=0), FLAT, model_output=7, ceiling_output=9) == nanos(tokens, 0)
    assert most(call(), FLAT, model_output=7, ceiling_output=9) == nanos(tokens, 7)
    assert most(call(), FLAT, ceiling_output=9) == nanos(tokens, 9)
    assert most(call(), FLAT) == nanos(tokens, 32_768)


def test_each_choice_may_be_as_long() -> None:
    assert most(call(max_output=5, choices=3), FLAT) == nanos(bound_input(call()), 15)


def test_without_a_price_nothing_is_known() -> None:
    assert most(call(), None) is None
    assert most(call(), Price(version=V, standard=Scheme(base=Rates(output=1)))) is None
    assert most(call(), Price(version=V, standard=Scheme(base=Rates(input=1)))) is None


@pytest.mark.parametrize("kind", [PathKind.COUNT, PathKind.MODELS, PathKind.MODERATIONS])
def test_what_providers_answer_for_nothing_costs_nothing(kind: PathKind) -> None:
    assert most(call(kind=kind), None) == 0


def test_embeddings_have_no_output() -> None:
    price = Price(version=V, standard=Scheme(base=Rates(input=1_000)))
    one = call(kind=PathKind.EMBEDDINGS)
    assert most(one, price) == bound_input(one)


def test_the_dearest_class_of_input_counts() -> None:
    rates = Rates(
        input=1_000, cached=100, write_5m=1_250, write_1h=2_000, input_audio=9_000, input_image=7_000,
        input_video=8_000, output=1,
    )  # fmt: skip
    price = Price(version=V, standard=Scheme(base=rates))

    def rate(**shape: Any) -> int:
        one = call(max_output=0, **shape)
        found = most(one, price, image_tokens=0, file_tokens=0)
        assert found is not None
        return found // bound_input(one, image_tokens=0, file_tokens=0)

    assert rate() == 2
    assert rate(audio=1) == 9
    assert rate(images=1) == 7
    assert rate(files=1) == 9


def test_the_dearest_class_of_output_counts() -> None:
    rates = Rates(input=0, output=1_000, reasoning=2_000, output_audio=5_000, output_image=4_000)
    assert most(call(max_output=3), Price(version=V, standard=Scheme(base=rates))) == 15


def test_long_calls_count_at_the_price_of_long_calls() -> None:
    scheme = Scheme(base=Rates(input=1_000, output=0), steps=((100, Rates(input=2_000, output=0)),))
    short, long = call({}), call({"x": "y" * 200})
    price = Price(version=V, standard=scheme)
    assert most(short, price) == bound_input(short)
    assert most(long, price) == 2 * bound_input(long)


def test_a_step_that_is_cheaper_does_not_lower_the_bound() -> None:
    scheme = Scheme(base=Rates(input=1_000, output=0), steps=((1, Rates(input=1, output=0)),))
    assert most(call(), Price(version=V, standard=scheme)) == bound_input(call())


def test_a_dearer_tier_counts_when_it_is_asked_for() -> None:
    twice = Scheme(base=Rates(input=1_000, output=0), factor=Factor(over=5, under=2))
    plain = Scheme(base=Rates(input=1_000, output=0))
    price = Price(version=V, standard=plain, priority=twice)
    for tier, times in (("auto", 2), ("flex", 2), ("priority", 5), ("fast", 5), ("PRIORITY", 5)):
        one = call({"service_tier": tier})
        assert most(one, price) == -(-bound_input(one) * times // 2)
    asked = call({"service_tier": "priority"})
    assert most(asked, Price(version=V, standard=plain)) == bound_input(asked)
    assert most(asked, Price(version=V, standard=plain, fast=twice)) == -(-bound_input(asked) * 5 // 2)


def test_a_fast_mode_without_a_price_is_unknown() -> None:
    assert most(call({"speed": "fast"}), FLAT) is None
    fast = Scheme(base=Rates(input=3_000, output=0))
    one = call({"speed": "fast"})
    assert most(one, Price(version=V, standard=FLAT.standard, fast=fast)) == 3 * bound_input(one)


def test_a_pinned_region_counts_with_its_surcharge() -> None:
    price = Price(version=V, standard=FLAT.standard, regional=Factor(over=11, under=10))
    one = call({"inference_geo": "us"}, max_output=10)
    assert most(one, price) == -(-nanos(bound_input(one), 10) * 11 // 10)
    world = call({"inference_geo": "global"}, max_output=10)
    assert most(world, price) == nanos(bound_input(world), 10)
    assert most(one, FLAT) == nanos(bound_input(one), 10)


def test_the_providers_own_tools_are_billed_by_the_use() -> None:
    rates = Rates(input=0, output=0, search=10**10, tool_unit=10**9)
    tree = {"tools": [{"type": "web_search"}, {"type": "function"}]}
    assert most(call(tree), Price(version=V, standard=Scheme(base=rates))) == 10 * 10**7
    assert most(call(), Price(version=V, standard=Scheme(base=rates))) == 0


def test_a_fee_for_the_request_is_part_of_it() -> None:
    price = Price(version=V, standard=Scheme(base=Rates(input=0, output=0, request=5_000)))
    assert most(call(), price) == 5


def test_pictures_are_billed_by_tokens_or_by_the_piece() -> None:
    one = call({"prompt": "a cat"}, kind=PathKind.IMAGES, inputs=2, choices=2)
    by_tokens = Price(version=V, standard=Scheme(base=Rates(input=0, output=1_000)))
    by_piece = Price(version=V, standard=Scheme(base=Rates(image=7_000)))
    assert most(one, by_tokens) == 40_000
    assert most(one, by_piece) == 14
    assert most(one, Price(version=V, standard=Scheme(base=Rates(search=1)))) is None


def test_speech_is_billed_by_the_character_or_by_tokens() -> None:
    one = call({"input": "Good morning."}, kind=PathKind.SPEECH)
    by_character = Price(version=V, standard=Scheme(base=Rates(character=2_000)))
    assert most(one, by_character) == 2 * one.shape.body_bytes
    assert most(one, FLAT, ceiling_output=9) == nanos(bound_input(one), 9)


def test_sound_is_billed_by_its_longest_possible_time() -> None:
    by_hour = Price(version=V, standard=Scheme(base=Rates(audio_hour=3_600_000_000)))
    assert most(form(1_000), by_hour) == 2_000
    assert most(form(1_000), FLAT, ceiling_output=9) == nanos(1_000 + FRAME, 9)


@given(st.data())
def test_nothing_that_stays_within_the_bounds_costs_more(data: st.DataObject) -> None:
    book = PriceBook.bundled()
    provider = data.draw(st.sampled_from(["openai", "anthropic", "gemini", "groq"]))
    model = data.draw(st.sampled_from([name for name in book.models(provider) if "whisper" not in name]))
    price = book.find(provider, model, 1_795_000_000_000_000)
    text = "x" * data.draw(st.sampled_from([0, 10, 50_000, 400_000]))
    allowed, images = data.draw(st.integers(0, 10**5)), data.draw(st.integers(0, 2))
    one = call({"input": text}, max_output=allowed, images=images)
    bound = most(one, price)
    tokens = data.draw(st.integers(0, bound_input(one)))
    cached = data.draw(st.integers(0, tokens))
    written = data.draw(st.integers(0, tokens - cached))
    output = data.draw(st.integers(0, allowed))
    usage = Usage(
        input=tokens, cached=cached, write_5m=written // 2, write_1h=written - written // 2,
        input_image=data.draw(st.integers(0, tokens - cached - written)) if one.shape.images else 0,
        output=output, reasoning=data.draw(st.integers(0, output)),
    )  # fmt: skip
    assert price is None or bound is not None or price.output_rate is None
    if bound is not None and price is not None:
        actual = cost(Reading(usage=usage, source=Source.REPORTED), price, lambda _: None)
        assert actual is not None
        assert actual <= bound


def test_every_first_model_that_costs_anything_has_a_bound() -> None:
    book = PriceBook.bundled()
    for provider in ("openai", "anthropic", "gemini", "groq"):
        for model in book.models(provider):
            price = book.find(provider, model, 1_795_000_000_000_000)
            if price is not None and price.output_rate is not None:
                assert most(call(max_output=10), price) is not None
                assert price.scheme(ServiceTier.STANDARD) is price.standard


# --- the guess of a request -------------------------------------------------------------------------------


def test_a_request_is_guessed_by_its_text() -> None:
    words = "Nobody was sure how long the work would take, but all agreed on it. " * 13
    tree = {"model": "m", "messages": [{"role": "user", "content": words}], "tools": []}
    found = guess_input(call(tree, turns=1))
    assert 190 <= found <= 240


def test_an_inline_picture_is_guessed_as_a_picture() -> None:
    part = {"type": "image_url", "image_url": {"url": PICTURE}}
    tree = {"messages": [{"role": "user", "content": [part]}]}
    assert guess_input(call(tree, images=1, turns=1)) < 1_100


def test_sound_in_and_out_is_not_guessed_in_tokens() -> None:
    assert guess_input(form(1_000)) == 0
    assert guess_input(call(kind=PathKind.SPEECH)) == 0


def test_odd_text_does_not_stop_a_guess() -> None:
    assert guess_input(call({"messages": [{"content": "\u2028\n"}]})) >= 1


# --- the quick way ------------------------------------------------------------------------------------------

RATE = st.none() | st.integers(0, 10**9)
RATES = st.builds(
    Rates,
    input=RATE,
    output=RATE,
    cached=RATE,
    write_5m=RATE,
    write_1h=RATE,
    reasoning=RATE,
    output_audio=RATE,
    request=st.integers(0, 10**9),
)


@given(
    RATES,
    st.lists(st.tuples(st.integers(0, 10**6), RATES), max_size=2, unique_by=lambda one: one[0]),
    st.builds(Factor, over=st.integers(1, 9), under=st.integers(1, 9)),
    st.sampled_from((PathKind.CHAT, PathKind.RESPONSES, PathKind.MESSAGES, PathKind.GENERATE)),
    st.integers(0, 10**6),
    st.integers(0, 128),
    st.integers(0, 10**6),
)
def test_a_call_of_text_has_the_bound_that_the_exact_way_finds(
    base: Rates,
    steps: list[tuple[int, Rates]],
    factor: Factor,
    kind: PathKind,
    size: int,
    choices: int,
    output: int,
) -> None:
    ordered = tuple(sorted(steps, key=lambda step: step[0]))
    price = Price(version=V, standard=Scheme(base=base, steps=ordered, factor=factor))
    one = call({"messages": [], "temperature": 1}, kind, body_bytes=size, choices=choices, max_output=output)
    tree = {"messages": [], "temperature": 1}
    exact = estimate._most_of_all(one, tree, price, output, 5_000, 100_000)
    assert most(one, price) == most(one, price) == exact


def test_of_many_prices_only_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "REMEMBERED", 3)
    estimate._steps.clear()
    for rate in range(1, 9):
        price = Price(version=V, standard=Scheme(base=Rates(input=rate * 1000, output=rate * 1000)))
        one = call(max_output=0)
        assert most(one, price) == rate * (one.shape.body_bytes + FRAME)
    assert len(estimate._steps) <= 3
