"""In place of stages 2 to 5 for model lists: the gateway answers them itself, from what the key may use."""

from gateway.accounts import scopes
from gateway.dialects import DIALECTS, models
from gateway.errors import NoRoute
from gateway.exchange import Exchange
from gateway.upstreams.catalogue import Catalogue

JSON = (("content-type", "application/json"),)


class Listing:
    """Answers with the models that the caller's key may use, in the shape of the caller's dialect."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call, caller. Answers.

        Raises:
            NoRoute: unknown_model, one model was asked for that is not offered to this key.
        """
        family = DIALECTS[exchange.call.dialect].FAMILY
        rights, asked = exchange.caller.rights, exchange.call.model
        listed = [
            model
            for model in self._catalogue.listed()
            if (not asked or model.name == asked)
            and scopes.check_target(
                rights, model.provider, model.name.removeprefix(f"{model.provider}/"), model.name
            )
            is None
        ]
        if asked and not listed:
            raise NoRoute("unknown_model")
        body = models.single_model(family, listed[0]) if asked else models.model_list(family, listed)
        await exchange.client.start(200, JSON, len(body))
        await exchange.client.write(body)
        await exchange.client.finish()
