"""What Gemini's generateContent cannot say, and what of it the middle form cannot hold."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.names import Slug
from gateway.translation.losses import Loss, Losses

_DROPPED: Final = (
    # What other dialects say and this one cannot.
    Slug("detail"),
    Slug("filename"),
    Slug("frequency_penalty"),
    Slug("logprobs"),
    Slug("parallel_tool_calls"),
    Slug("presence_penalty"),
    Slug("reasoning"),
    Slug("seed"),
    Slug("stop"),
    Slug("strict"),
    Slug("thoughts"),
    Slug("tier"),
    Slug("user"),
    # What this dialect says and others cannot, under its own names.
    Slug("allowedFunctionNames"),
    Slug("audioMetadata"),
    Slug("audioTimestamp"),
    Slug("audioTranscription"),
    Slug("audioTranscriptionConfig"),
    Slug("behavior"),
    Slug("documentMetadata"),
    Slug("enableAffectiveDialog"),
    Slug("enableEnhancedCivicAnswers"),
    Slug("generationOutputConfig"),
    Slug("imageConfig"),
    Slug("includeServerSideToolInvocations"),
    Slug("labels"),
    Slug("mediaProcessing"),
    Slug("mediaResolution"),
    Slug("modelArmorConfig"),
    Slug("modelSelectionConfig"),
    Slug("partMetadata"),
    Slug("response"),
    Slug("responseJsonSchema"),
    Slug("retrievalConfig"),
    Slug("routingConfig"),
    Slug("safetySettings"),
    Slug("scheduling"),
    Slug("speechConfig"),
    Slug("speechMetadata"),
    Slug("spreadsheetMetadata"),
    Slug("store"),
    Slug("streamFunctionCallArguments"),
    Slug("unknown_field"),
    Slug("videoMetadata"),
    Slug("willContinue"),
)

_REFUSED: Final = (
    # What other dialects say and this one cannot.
    Slug("file_url"),
    Slug("image_url"),
    Slug("tool_result"),
    # What this dialect says and others cannot, under its own names.
    Slug("audio_result"),
    Slug("audio_url"),
    Slug("cachedContent"),
    Slug("candidateCount"),
    Slug("codeExecution"),
    Slug("codeExecutionResult"),
    Slug("computerUse"),
    Slug("continuationToken"),
    Slug("enterpriseWebSearch"),
    Slug("exaAiSearch"),
    Slug("executableCode"),
    Slug("fileSearch"),
    Slug("googleMaps"),
    Slug("googleSearch"),
    Slug("googleSearchRetrieval"),
    Slug("mcpServers"),
    Slug("parallelAiSearch"),
    Slug("responseMimeType"),
    Slug("responseModalities"),
    Slug("retrieval"),
    Slug("toolCall"),
    Slug("toolResponse"),
    Slug("unknown_tool"),
    Slug("urlContext"),
    Slug("video"),
)

LOSSES: Final[Mapping[Slug, Loss]] = MappingProxyType(
    dict.fromkeys(_DROPPED, Loss.DROPPED) | dict.fromkeys(_REFUSED, Loss.REFUSED)
)
"""Every name that a translation from or to this dialect drops or refuses."""

_NAMES: Final[Mapping[str, Slug]] = {str(name): name for name in LOSSES}


def lose(losses: Losses, name: str) -> None:
    """Drop or refuse a feature, as the table says.

    Raises:
        CallerError: cannot_translate, if it is refused.
    """
    slug = _NAMES[name]
    if LOSSES[slug] is Loss.DROPPED:
        losses.drop(slug)
    else:
        losses.refuse(slug)
