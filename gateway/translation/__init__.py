"""Any dialect to any provider: each dialect reads and writes one middle form.

A tongue is what a dialect needs for that: it reads a call and writes one, reads an answer and writes one.
Four dialects need four tongues, not twelve translators. Same dialect on both sides: nothing in here runs.
"""

from typing import Final

from gateway.names import Slug
from gateway.translation import anthropic_messages, gemini_generate, openai_chat, openai_responses
from gateway.translation.tongue import Tongue

TONGUES: Final[dict[Slug, Tongue]] = {
    tongue.NAME: tongue for tongue in (anthropic_messages, gemini_generate, openai_chat, openai_responses)
}
"""The dialects that can be translated; for a provider that speaks several, the one preferred comes first."""
