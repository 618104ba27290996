"""Which path speaks which dialect, and that odd paths speak none."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import DIALECTS, Endpoint, find
from gateway.records import PathKind

FIXED = {
    "/chat/completions": "openai_chat",
    "/responses": "openai_responses",
    "/embeddings": "openai_embeddings",
    "/images/generations": "openai_images",
    "/audio/speech": "openai_speech",
    "/audio/transcriptions": "openai_transcription",
    "/audio/translations": "openai_transcription",
    "/moderations": "openai_moderations",
}
GOOGLE = {"x-goog-api-key": "k"}
ANTHROPIC = {"anthropic-version": "2023-06-01"}


def test_every_dialect_is_filed_under_its_own_name() -> None:
    for name, dialect in DIALECTS.items():
        assert name == dialect.NAME
        assert dialect.FAMILY in ("openai", "anthropic", "gemini")
    assert set(FIXED.values()) <= set(DIALECTS)


@pytest.mark.parametrize(("below", "dialect"), FIXED.items())
def test_fixed_paths_of_openais_family(below: str, dialect: str) -> None:
    for headers in ({}, GOOGLE, ANTHROPIC):
        plain = find("/v1" + below, headers)
        assert plain is not None
        assert (plain.dialect, plain.method, plain.prefers) == (dialect, "POST", None)
        groq = find("/openai/v1" + below, headers)
        assert groq is not None
        assert (groq.dialect, groq.kind, groq.verb, groq.prefers) == (dialect, plain.kind, plain.verb, "groq")
        assert find("/anthropic/v1" + below, headers) is None
        assert find("/v1beta" + below, headers) is None


def test_fixed_paths_of_anthropics_family() -> None:
    for prefix in ("/v1", "/anthropic/v1"):
        messages = find(prefix + "/messages", {})
        assert messages == Endpoint(messages.dialect, PathKind.MESSAGES) if messages else False
        assert messages is not None
        assert messages.dialect == "anthropic_messages"
        count = find(prefix + "/messages/count_tokens", {})
        assert count is not None
        assert (count.dialect, count.kind, count.verb) == ("anthropic_count", PathKind.COUNT, "count_tokens")
    assert find("/openai/v1/messages", {}) is None


@pytest.mark.parametrize("prefix", ["/v1", "/v1beta", "/gemini/v1", "/gemini/v1beta"])
@pytest.mark.parametrize(
    ("verb", "dialect", "kind"),
    [
        ("generateContent", "gemini_generate", PathKind.GENERATE),
        ("streamGenerateContent", "gemini_generate", PathKind.GENERATE),
        ("countTokens", "gemini_count", PathKind.COUNT),
        ("embedContent", "gemini_embed", PathKind.EMBEDDINGS),
        ("batchEmbedContents", "gemini_embed", PathKind.EMBEDDINGS),
    ],
)
@pytest.mark.parametrize("headers", [{}, GOOGLE, ANTHROPIC])
def test_geminis_paths_have_the_model_in_them(
    prefix: str, verb: str, dialect: str, kind: PathKind, headers: dict[str, str]
) -> None:
    for raw, model in (
        ("gemini-2.5-pro", "gemini-2.5-pro"),
        ("groq/llama-3", "groq/llama-3"),
        ("groq%2Fllama-3", "groq/llama-3"),
        ("tunedModels/x-1", "tunedModels/x-1"),
        ("ollama/llama3%3a8b", "ollama/llama3:8b"),
        ("ollama/llama3:8b", "ollama/llama3:8b"),
        ("@cf/meta/x", "@cf/meta/x"),
        ("a%40b%2bc", "a@b+c"),
    ):
        endpoint = find(f"{prefix}/models/{raw}:{verb}", headers)
        assert endpoint is not None
        assert (endpoint.dialect, endpoint.kind, endpoint.method) == (dialect, kind, "POST")
        assert (endpoint.path_model, endpoint.verb) == (model, verb)
        assert endpoint.version == prefix.rpartition("/")[2]


def test_geminis_verbs_are_not_under_other_prefixes() -> None:
    for prefix in ("/openai/v1", "/anthropic/v1"):
        endpoint = find(prefix + "/models/m:generateContent", {})
        assert endpoint is not None
        assert (endpoint.kind, endpoint.method, endpoint.path_model) == (
            PathKind.MODELS,
            "GET",
            "m:generateContent",
        )


def test_an_encoded_colon_is_no_verb() -> None:
    endpoint = find("/v1/models/m%3AgenerateContent", {})
    assert endpoint is not None
    assert (endpoint.kind, endpoint.path_model) == (PathKind.MODELS, "m:generateContent")


def test_trap_2_lists_of_models_are_told_apart_by_headers() -> None:
    for path, model in (
        ("/v1/models", None),
        ("/v1/models/gpt-4o", "gpt-4o"),
        ("/v1/models/ft:gpt-4o:a::b", "ft:gpt-4o:a::b"),
        ("/v1/models/openai/gpt-4o", "openai/gpt-4o"),
    ):
        for headers, dialect in (
            ({}, "openai_chat"),
            ({"authorization": "Bearer x"}, "openai_chat"),
            (GOOGLE, "gemini_generate"),
            (ANTHROPIC, "anthropic_messages"),
            (GOOGLE | ANTHROPIC, "gemini_generate"),
        ):
            endpoint = find(path, headers)
            assert endpoint is not None
            assert (endpoint.dialect, endpoint.kind, endpoint.method) == (dialect, PathKind.MODELS, "GET")
            assert endpoint.path_model == model
            assert endpoint.prefers is None


@pytest.mark.parametrize(
    ("path", "dialect", "prefers"),
    [
        ("/openai/v1/models", "openai_chat", "groq"),
        ("/anthropic/v1/models", "anthropic_messages", None),
        ("/gemini/v1/models", "gemini_generate", None),
        ("/gemini/v1beta/models", "gemini_generate", None),
        ("/v1beta/models", "gemini_generate", None),
        ("/v1beta/models/gemini-2.5-pro", "gemini_generate", None),
    ],
)
def test_a_prefix_decides_before_headers(path: str, dialect: str, prefers: str | None) -> None:
    for headers in ({}, GOOGLE, ANTHROPIC):
        endpoint = find(path, headers)
        assert endpoint is not None
        assert (endpoint.dialect, endpoint.prefers) == (dialect, prefers)


ODD = [
    "",
    "/",
    "v1/models",
    "/v1",
    "/v1/",
    "/v2/models",
    "/v1/chat",
    "/v1/chat/completions/",
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/v1/./chat/completions",
    "/v1/x/../chat/completions",
    "/v1/chat%2Fcompletions",
    "/v1%2Fchat/completions",
    "/%761/chat/completions",
    "/v1/chat/completions%00",
    "/v1/chat/completions;x",
    "/v1/chat/completions?x=1",
    "/v1/chat/completions#x",
    "/v1/chat/completions ",
    "/V1/chat/completions",
    "/v1/Chat/Completions",
    "/v1\\chat\\completions",
    "http://host/v1/chat/completions",
    "/openai/chat/completions",
    "/openai/openai/v1/models",
    "/openai/v1beta/models",
    "/anthropic/v1beta/models",
    "/gemini/v1/chat/completions",
    "/v1/models/",
    "/v1/models//a",
    "/v1/models/a//b",
    "/v1/models/a/",
    "/v1/models/.",
    "/v1/models/..",
    "/v1/models/a/../b",
    "/v1/models/a/..",
    "/v1/models/%2e%2e",
    "/v1/models/a%2F..%2Fb",
    "/v1/models/a%2F%2Fb",
    "/v1/models/%2Fa",
    "/v1/models/a%252Fb",
    "/v1/models/a%00",
    "/v1/models/a%0a",
    "/v1/models/a\n",
    "/v1/models/a;b",
    "/v1/models/a b",
    "/v1/models/a?b",
    "/v1/models/ä",
    "/v1/models/:generateContent",
    "/v1/models/" + "a" * 257,
    "/v1/models/" + "a" * 257 + ":generateContent",
    "/v1/models/" + "a" * 5000,
    "/v1beta/models/m:generateContent/",
    "/v1beta/cachedContents",
    "/v1beta/tunedModels/x:generateContent",
    "/v1/responses/resp_1",
    "/v1/files",
    "/v1/batches",
    "/v1/fine_tuning/jobs",
    "/v1/messages/batches",
]


@pytest.mark.parametrize("path", ODD)
def test_odd_paths_lead_nowhere(path: str) -> None:
    for headers in ({}, GOOGLE, ANTHROPIC):
        assert find(path, headers) is None


def test_an_unknown_verb_is_part_of_a_models_name_for_lists_only() -> None:
    for path in ("/v1/models/m:predict", "/v1beta/models/m:generatecontent"):
        endpoint = find(path, {})
        assert endpoint is not None
        assert (endpoint.kind, endpoint.method) == (PathKind.MODELS, "GET")


PIECES = [
    "/", "//", "v1", "v1beta", "openai", "anthropic", "gemini", "models", "chat", "completions", "messages",
    "generateContent", ":", "..", ".", "%2e", "%2F", "%2f", "%25", "%00", ";", "?", "#", "\\", " ",
    "\t", "\n", "\x00", "é", "\uff56", "\u2028", "a", "A", "-", "_", "~", "%3A", "%3a", "@", "+",
]  # fmt: skip
SAFE = set(string.ascii_letters + string.digits + "._-:@+/")


@given(
    st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
    | st.lists(st.sampled_from(PIECES), max_size=6).map(lambda pieces: "/v1/models/a" + "".join(pieces))
    | st.text(max_size=30)
)
def test_what_is_found_has_a_clean_path_and_a_clean_model(path: str) -> None:
    endpoint = find(path, {})
    if endpoint is None:
        return
    assert path.isascii()
    assert path.isprintable()
    assert not set(path) & set("?#;\\ ~")
    assert "//" not in path
    assert not path.endswith("/")
    fixed = path.partition("/models/")[0]
    assert "%" not in fixed
    if endpoint.path_model is not None:
        assert set(endpoint.path_model) <= SAFE
        assert all(part and not part.startswith(".") for part in endpoint.path_model.split("/"))
        assert len(endpoint.path_model) <= 256


def test_a_long_odd_path_is_refused_quickly() -> None:
    for path in ("/v1/models/" + "a/" * 10**6, "/v1/models/" + "%2F" * 300, "/v1/models/" + "a:" * 500):
        find(path, {})
