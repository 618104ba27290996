"""How OpenAI's family reports what a call used, turned into our one shape.

Source: OpenAI API reference, the objects "usage" of chat completions, responses, images and audio;
Groq API reference, "usage" and "x_groq".
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.stream.tap import child, count, usage_of
from gateway.usage import ServiceTier, Usage

_TIERS: Final = {
    "auto": ServiceTier.STANDARD,
    "default": ServiceTier.STANDARD,
    "on_demand": ServiceTier.STANDARD,  # Groq
    "flex": ServiceTier.FLEX,
    "priority": ServiceTier.PRIORITY,
    "fast": ServiceTier.PRIORITY,
    "batch": ServiceTier.BATCH,
}


def chat_usage(usage: Mapping[str, Any]) -> Usage | None:
    """A usage with prompt_tokens and completion_tokens; None when it cannot be believed.

    Where the total exceeds the sum of both, the provider counts reasoning beside the completion
    instead of inside it, and the rest of the total is output too. Cache hits may stand in
    prompt_cache_hit_tokens, as DeepSeek has them.
    """
    read = child(usage, "prompt_tokens_details")
    made = child(usage, "completion_tokens_details")
    prompt = count(usage, "prompt_tokens")
    completion = count(usage, "completion_tokens")
    total = count(usage, "total_tokens")
    if prompt is None or completion is None or total is None:
        return None
    output = max(completion, total - prompt)
    if not read and not made and "prompt_cache_hit_tokens" not in usage:
        return usage_of(input=prompt, output=output)
    cached = count(read, "cached_tokens")
    return usage_of(
        input=prompt,
        cached=cached or (cached if cached is None else count(usage, "prompt_cache_hit_tokens")),
        write_5m=count(read, "cache_write_tokens"),
        input_audio=count(read, "audio_tokens"),
        input_image=count(read, "image_tokens"),
        output=output,
        reasoning=count(made, "reasoning_tokens"),
        output_audio=count(made, "audio_tokens"),
        output_image=count(made, "image_tokens"),
    )


def token_usage(usage: Mapping[str, Any]) -> Usage | None:
    """A usage with input_tokens and output_tokens; None when it cannot be believed.

    Details stand under input_tokens_details, in transcriptions under input_token_details. Cache
    writes for the longer of the two times (12 h) count as write_1h, all others as write_5m.
    """
    read = child(usage, "input_tokens_details") or child(usage, "input_token_details")
    made = child(usage, "output_tokens_details")
    written = count(read, "cache_write_tokens")
    long = count(child(read, "cache_write_tokens_details"), "ttl_12h_tokens")
    if written is None or long is None or long > written:
        return None
    return usage_of(
        input=count(usage, "input_tokens"),
        cached=count(read, "cached_tokens"),
        write_5m=written - long,
        write_1h=long,
        input_audio=count(read, "audio_tokens"),
        input_image=count(read, "image_tokens"),
        output=count(usage, "output_tokens"),
        reasoning=count(made, "reasoning_tokens"),
        output_audio=count(made, "audio_tokens"),
        output_image=count(made, "image_tokens"),
    )


def tier_of(value: object) -> ServiceTier:
    """What an answer's service_tier means for the price."""
    if value is None:
        return ServiceTier.STANDARD
    return _TIERS.get(value, ServiceTier.UNKNOWN) if isinstance(value, str) else ServiceTier.UNKNOWN
