"""GGUF files become models that `transformers` answers with: same tokens, same logits; or say why not."""

import asyncio
import json
from pathlib import Path

import pytest

from groundtune.errors import MissingError
from groundtune.models.gguf_files import FAMILIES, MANIFEST, is_converted, read_gguf
from groundtune.models.hub import locate_model
from groundtune.models.local_generator import LocalGenerator
from groundtune.types import Message, Prompt
from tests.models.tiny_gguf import write_tiny_gguf

TEXT = "<|user|>what is the capital of France? 314 days, 3.5 %<|end|><|assistant|>"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_converted_model_computes_what_the_original_computes(family: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = tmp_path / "model.gguf"
    original = write_tiny_gguf(file, family=family)
    weights = read_gguf(file).weights
    tokenizer = AutoTokenizer.from_pretrained(weights)
    converted = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32).eval()
    ids = torch.tensor([tokenizer(TEXT, add_special_tokens=False)["input_ids"]])
    with torch.inference_mode():
        expected, found = original(ids).logits, converted(ids).logits
    assert torch.nn.functional.cosine_similarity(expected, found, dim=-1).min() > 0.999  # weights are in bfloat16
    assert tokenizer.decode(ids[0]) == TEXT
    assert [tokenizer.decode(each) for each in ids[0]].count("<|end|>") == 1


def test_digits_are_tokens_of_their_own_where_the_model_was_trained_so(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_tiny_gguf(tmp_path / "model.gguf", rules="smollm")
    tokenizer = AutoTokenizer.from_pretrained(read_gguf(tmp_path / "model.gguf").weights)
    pieces = [piece for piece, _ in tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("in 2026")]
    assert pieces[-4:] == ["2", "0", "2", "6"]


def test_a_file_is_converted_once_and_keeps_its_digest(tmp_path: Path, cache: Path) -> None:
    write_tiny_gguf(tmp_path / "model.gguf")
    first = locate_model(str(tmp_path / "model.gguf"))
    assert first.window == 256
    manifests = [*cache.rglob(MANIFEST)]
    assert json.loads(manifests[0].read_bytes())["architecture"] == "llama"
    written = manifests[0].stat().st_mtime_ns
    (tmp_path / "model.gguf").rename(tmp_path / "renamed.gguf")
    assert locate_model(str(tmp_path / "renamed.gguf")).digest == first.digest
    assert [path.stat().st_mtime_ns for path in cache.rglob(MANIFEST)] == [written]


def test_an_interrupted_conversion_is_done_again(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "model.gguf")
    folder = read_gguf(tmp_path / "model.gguf").weights.parent
    (folder / MANIFEST).unlink()
    assert not is_converted(folder)
    assert is_converted(read_gguf(tmp_path / "model.gguf").weights.parent)


def test_a_local_model_answers_from_a_gguf_file(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "model.gguf")
    generator = LocalGenerator(str(tmp_path / "model.gguf"), max_output_tokens=5)
    prompt = Prompt(question="q", messages=(Message("user", "what is the capital of France?"),))
    generation = asyncio.run(generator.generate(prompt))
    assert generation.usage.output_tokens is not None
    assert 1 <= generation.usage.output_tokens <= 5


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"rules": "poro-chat"}, "splits text by the rules 'poro-chat'"),
        ({"template": None}, "has no chat template"),
    ],
)
def test_a_file_that_would_be_read_wrongly_is_refused(
    settings: dict[str, str | None], reason: str, tmp_path: Path
) -> None:
    write_tiny_gguf(tmp_path / "model.gguf", **settings)  # type: ignore[arg-type]
    with pytest.raises(MissingError, match=reason):
        read_gguf(tmp_path / "model.gguf")


def test_another_family_is_refused_by_name(tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "rwkv7")
    writer.add_chat_template("{{ messages }}")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(MissingError, match="is of the family rwkv7") as caught:
        read_gguf(tmp_path / "model.gguf")
    assert "llama, qwen2" in (caught.value.hint or "")


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model", b"GGUF\x03\0\0\0" + b"\xff" * 40])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(MissingError, match="is not a GGUF file that can be read"):
        read_gguf(tmp_path / "model.gguf")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no model at"):
        locate_model(str(tmp_path / "absent.gguf"))
