"""Two tenants on one server: whatever one asks, on whatever path, nothing of the other comes back or is kept.

The world and the requests are those of benchmarks/tenants.py, which sends 10,000.
"""

from collections.abc import Iterator

import pytest
from benchmarks import tenants
from benchmarks.tenants import CALLERS, PATHS, World

from groundtune.models.local_embedder import BundledEmbedder
from groundtune.records.audit_log import AuditLog

SECONDS = 5.0
SEED = 7


@pytest.fixture(scope="module")
def world(embedder: BundledEmbedder) -> Iterator[World]:
    with tenants.served(embedder) as served:
        yield served


def test_nothing_of_another_tenant_comes_back_or_is_kept(world: World) -> None:
    outcomes = tenants.run(world, requests=2_000, seed=SEED, threads=4, seconds=SECONDS)
    assert len(outcomes) >= 5
    assert [outcome for outcome in outcomes if outcome.leaks] == []
    assert [outcome for outcome in outcomes if outcome.status in (500, 503, 504)] == []
    assert tenants.leaks_kept(world) == {"prompts": 0, "audit log": 0, "server log": 0}
    assert AuditLog(world.project.workspace).verify().problem is None


@pytest.mark.parametrize("caller", CALLERS)
def test_each_caller_sees_its_own(world: World, caller: str) -> None:
    reply = tenants.HTTP.post(
        f"{world.url}/api/search", json={"query": "codeword", "k": 50}, headers=tenants.with_key(world, caller)
    )
    seen = {match[1] for match in tenants.SIGN.finditer(reply.text)}
    assert seen == set(CALLERS[caller])


def test_the_check_finds_a_leak(world: World) -> None:
    marker = world.markers["red"][0]
    assert tenants.foreign(f"so {marker}!", "blue") == (marker,)
    assert tenants.foreign(f"so {marker}!", "both") == ()
    assert set(PATHS) >= {"search", "chat", "responses", "ask", "passage", "mcp", "feedback"}
