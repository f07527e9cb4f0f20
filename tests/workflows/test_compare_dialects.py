"""Compare models behind every kind of server: the report must state what was scripted, whatever the dialect."""

import json
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.testing.scripted_dialects import DIALECTS, TEXT_TOKENS, THINKING_TOKENS
from groundtune.testing.scripted_server import Reply, ScriptedServer

EXAMPLES = 8
LABELS = ("billing", "returns")
PRICE = 10.0
"""US dollars per million tokens, for all models."""


def right(name: str) -> int:
    """How many of the inputs a model labels correctly."""
    return 3 + sorted(DIALECTS).index(name) % (EXAMPLES - 3)


def play(body: dict[str, Any]) -> Reply:
    number = int(body["messages"][-1]["content"].split()[-1])
    server = body["model"].partition("/")[0]
    gold = LABELS[number % 2]
    other = LABELS[1 - number % 2]
    label, thought = (gold, f"Not {other}.") if number < right(server) else (other, f"It is {gold}, surely {gold}.")
    answers = list(DIALECTS[server].answers.values())
    return answers[number % len(answers)](label, thought)


def test_the_truth_of_every_dialect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": f"e{n}", "input": f"Ticket {n}", "output": LABELS[n % 2], "split": "test"} for n in range(EXAMPLES)]
    (tmp_path / "examples.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    names = {f"m{place}": name for place, name in enumerate(DIALECTS)}
    with ScriptedServer(play) as server:
        tables = [
            f'[models.{table}]\nkind = "openai"\nmodel = "{name}/x"\nbase_url = "{server.base_url}"\n'
            f'[prices."{name}/x"]\ninput_per_million = {PRICE}\noutput_per_million = {PRICE}\n'
            for table, name in {"default": "OpenAI", **names}.items()
            if table == "default" or name != "OpenAI"
        ]
        head = 'name = "dialects"\ntask = "classify"\n[documents]\ninclude = ["*.md"]\n[labels]\n'
        head += 'billing = "money"\nreturns = "sending back"\n[examples]\nfiles = ["examples.jsonl"]\n'
        (tmp_path / "groundtune.toml").write_text(head + "\n".join(tables))
        wanted = ["prompt", *(f"prompt:{table}" for table, name in names.items() if name != "OpenAI")]
        code = main(["compare", "-C", str(tmp_path), *(f"--approach={name}" for name in wanted), "--json"])
        asked = len(server.posts())
    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert asked == len(DIALECTS) * EXAMPLES, "no request was sent twice"
    for summary in report["approaches"]:
        name = names.get(summary["name"].partition(":")[2], "OpenAI")
        assert summary["errors"] == 0
        assert summary["mean"] == pytest.approx(right(name) / EXAMPLES), name
        read, written, _ = DIALECTS[name].counts
        usd = None if read is None or written is None else pytest.approx((read + written) * PRICE / 1000)
        assert summary["usd_per_1k"] == usd, name
    results = [json.loads(line) for line in Path(report["results"]).read_text().splitlines()]
    assert {row["output"] for row in results} == set(LABELS)
    assert {row["usage"]["output_tokens"] for row in results} == {TEXT_TOKENS + THINKING_TOKENS, None}
