"""Build the chain of approaches that answers a question, where the project has a table [fallback]."""

from urllib.parse import urlsplit

from groundtune.approaches.fallback import Fallback, Link
from groundtune.build.approach_families import plain_name
from groundtune.build.approach_registry import ApproachRegistry
from groundtune.common.circuit_breaker import CircuitBreaker
from groundtune.config import Config
from groundtune.protocols import Approach

LAST_RESORT = "quote-hybrid"
"""Stands in for every approach of task `answer`: it needs no model."""


def chain_names(config: Config, name: str) -> list[str]:
    """Return an approach and those that stand in for it, in order: those of [fallback], and quotes for answers."""
    if config.fallback is None:
        return [name]
    quotes = (LAST_RESORT,) if config.task == "answer" else ()
    return list(dict.fromkeys((name, *config.fallback.approaches, *quotes)))


def answering_approach(
    config: Config, registry: ApproachRegistry, name: str, breakers: dict[str, CircuitBreaker]
) -> Approach:
    """Return the approach that answers under a name, with those that stand in for it.

    breakers: by endpoint, kept between questions; missing ones are added. Raises what `ApproachRegistry.select` does
    for the name, but for something that it lacks only if nothing can stand in for it.
    """
    names = chain_names(config, name)
    if config.fallback is None or plain_name(name) not in registry.missing or registry.ready.keys().isdisjoint(names):
        registry.select([name])
    if config.fallback is None:
        return registry.ready[name]
    links = []
    for each in names:
        breaker = breakers.setdefault(_endpoint(config, registry, each), CircuitBreaker())
        reasons = (registry.missing.get(plain_name(each)), registry.forbidden.get(plain_name(each)))
        lacks = next((reason for reason in reasons if reason), "is no approach of this project")
        links.append(Link(each, registry.ready.get(each), breaker, lacks, asks_endpoint=each != LAST_RESORT))
    return Fallback(links, max_seconds=config.fallback.max_seconds)


def _endpoint(config: Config, registry: ApproachRegistry, name: str) -> str:
    """Return the server and model that an approach asks; its own name where it asks none of [models]."""
    table = registry.model_tables.get(name)
    model = config.models[table] if table else None
    if model is None or model.base_url is None:
        return name
    return f"{urlsplit(model.base_url).netloc} {model.model}"
