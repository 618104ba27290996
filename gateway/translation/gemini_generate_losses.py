"""What Gemini's generateContent cannot say, and what of it the middle form cannot hold."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.names import Slug
from gateway.translation.losses import Loss, Losses

AS_PROVIDER: Final[Mapping[Slug, Loss]] = {
    Slug("budget_tokens"): Loss.DROPPED,  # becomes a level
    Slug("detail"): Loss.DROPPED,
    Slug("filename"): Loss.DROPPED,
    Slug("frequency_penalty"): Loss.DROPPED,
    Slug("logprobs"): Loss.DROPPED,
    Slug("parallel_tool_calls"): Loss.DROPPED,
    Slug("presence_penalty"): Loss.DROPPED,
    Slug("reasoning"): Loss.DROPPED,
    Slug("seed"): Loss.DROPPED,
    Slug("stop"): Loss.DROPPED,
    Slug("strict"): Loss.DROPPED,
    Slug("thoughts"): Loss.DROPPED,
    Slug("tier"): Loss.DROPPED,
    Slug("user"): Loss.DROPPED,
    Slug("file_url"): Loss.REFUSED,
    Slug("image_url"): Loss.REFUSED,
    Slug("tool_result"): Loss.REFUSED,
}
"""What other dialects say and this one, or a model of it, cannot."""

AS_CALLER: Final[Mapping[Slug, Loss]] = {
    Slug("allowedFunctionNames"): Loss.DROPPED,
    Slug("audioMetadata"): Loss.DROPPED,
    Slug("audioTimestamp"): Loss.DROPPED,
    Slug("audioTranscription"): Loss.DROPPED,
    Slug("audioTranscriptionConfig"): Loss.DROPPED,
    Slug("behavior"): Loss.DROPPED,
    Slug("documentMetadata"): Loss.DROPPED,
    Slug("enableAffectiveDialog"): Loss.DROPPED,
    Slug("enableEnhancedCivicAnswers"): Loss.DROPPED,
    Slug("generationOutputConfig"): Loss.DROPPED,
    Slug("imageConfig"): Loss.DROPPED,
    Slug("includeServerSideToolInvocations"): Loss.DROPPED,
    Slug("labels"): Loss.DROPPED,
    Slug("mediaProcessing"): Loss.DROPPED,
    Slug("mediaResolution"): Loss.DROPPED,
    Slug("modelArmorConfig"): Loss.DROPPED,
    Slug("modelSelectionConfig"): Loss.DROPPED,
    Slug("partMetadata"): Loss.DROPPED,
    Slug("response"): Loss.DROPPED,
    Slug("responseJsonSchema"): Loss.DROPPED,
    Slug("retrievalConfig"): Loss.DROPPED,
    Slug("routingConfig"): Loss.DROPPED,
    Slug("safetySettings"): Loss.DROPPED,
    Slug("scheduling"): Loss.DROPPED,
    Slug("speechConfig"): Loss.DROPPED,
    Slug("speechMetadata"): Loss.DROPPED,
    Slug("spreadsheetMetadata"): Loss.DROPPED,
    Slug("store"): Loss.DROPPED,
    Slug("streamFunctionCallArguments"): Loss.DROPPED,
    Slug("thoughts"): Loss.DROPPED,
    Slug("tier"): Loss.DROPPED,
    Slug("unknown_field"): Loss.DROPPED,
    Slug("videoMetadata"): Loss.DROPPED,
    Slug("willContinue"): Loss.DROPPED,
    Slug("audio_result"): Loss.REFUSED,
    Slug("audio_url"): Loss.REFUSED,
    Slug("cachedContent"): Loss.REFUSED,
    Slug("candidateCount"): Loss.REFUSED,
    Slug("codeExecution"): Loss.REFUSED,
    Slug("codeExecutionResult"): Loss.REFUSED,
    Slug("computerUse"): Loss.REFUSED,
    Slug("continuationToken"): Loss.REFUSED,
    Slug("enterpriseWebSearch"): Loss.REFUSED,
    Slug("exaAiSearch"): Loss.REFUSED,
    Slug("executableCode"): Loss.REFUSED,
    Slug("fileSearch"): Loss.REFUSED,
    Slug("googleMaps"): Loss.REFUSED,
    Slug("googleSearch"): Loss.REFUSED,
    Slug("googleSearchRetrieval"): Loss.REFUSED,
    Slug("mcpServers"): Loss.REFUSED,
    Slug("parallelAiSearch"): Loss.REFUSED,
    Slug("responseMimeType"): Loss.REFUSED,
    Slug("responseModalities"): Loss.REFUSED,
    Slug("retrieval"): Loss.REFUSED,
    Slug("toolCall"): Loss.REFUSED,
    Slug("toolResponse"): Loss.REFUSED,
    Slug("unknown_tool"): Loss.REFUSED,
    Slug("urlContext"): Loss.REFUSED,
    Slug("video"): Loss.REFUSED,
}
"""What this dialect says and others cannot, mostly under its own names."""

_ALL: Final[Mapping[Slug, Loss]] = MappingProxyType({**AS_PROVIDER, **AS_CALLER})
"""Every name that a translation from or to this dialect drops or refuses."""

_NAMES: Final[Mapping[str, Slug]] = {str(name): name for name in _ALL}


def lose(losses: Losses, name: str) -> None:
    """Drop or refuse a feature, as the table says.

    Raises:
        CallerError: cannot_translate, if it is refused.
    """
    slug = _NAMES[name]
    if _ALL[slug] is Loss.DROPPED:
        losses.drop(slug)
    else:
        losses.refuse(slug)
