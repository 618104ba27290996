"""The commands, one module for each family; COMMANDS lists the functions that add them to the parser."""

from gateway.commands import (
    accounts,
    check,
    classify,
    diagnose,
    doctor,
    outcomes,
    records,
    replay,
    route_eval,
    routes,
    savings,
    selfcheck,
    serve,
)

COMMANDS = (
    serve.add,
    accounts.add,
    records.add,
    check.add,
    diagnose.add,
    classify.add,
    selfcheck.add,
    doctor.add,
    replay.add,
    route_eval.add,
    routes.add,
    outcomes.add,
    savings.add,
)
