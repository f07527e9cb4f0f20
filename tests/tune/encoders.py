"""A real BERT encoder of 60,000 weights, built from a configuration, and short texts it can separate in seconds.

Its weights are random: everything it knows, it learns in the test.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.tune.job import Job, TrainingRow, write_job

WORDS = {
    "refund": "money back return refund reimburse paid",
    "delivery": "parcel courier shipped arrive track delivery",
    "password": "login reset locked password account forgot",
    "invoice": "bill tax copy invoice receipt number",
    "cancel": "stop end quit cancel contract leave",
    "opening": "open hours closed sunday shop holiday",
}
FILLERS = "please can you i my the a for when how is need want to of about tell me today".split()
STRANGE = "weather planet guitar recipe football river novel mountain volcano poem painting desert".split()
SETTINGS = {
    "seed": 0,
    "max_tokens": None,
    "allow_truncation": 0,
    "max_minutes": None,
    "device": "cpu",
    "mode": "full",
    "epochs": 8,
    "learning_rate": 2e-3,
    "batch_tokens": 256,
    "class_weights": True,
    "patience": 8,
    "rank": 8,
}


def tiny_encoder(folder: Path, *, kind: str = "bert", window: int = 64) -> Path:
    """Write the base in the format of `save_pretrained`, always with the same weights. kind: bert or distilbert."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    words = sorted({*FILLERS, *STRANGE, *" ".join(WORDS.values()).split()})
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    word_pieces = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    word_pieces.normalizer = normalizers.BertNormalizer()
    word_pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    word_pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=word_pieces, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    tokenizer.model_max_length = window
    shape: dict[str, Any] = {"vocab_size": len(vocabulary), "max_position_embeddings": window, "pad_token_id": 0}
    model: Any
    if kind == "bert":
        config = BertConfig(hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, **shape)
        model = BertModel(config)
    else:
        model = DistilBertModel(DistilBertConfig(dim=48, hidden_dim=96, n_layers=2, n_heads=4, **shape))
    with torch.no_grad():  # words matter more than positions
        model.get_input_embeddings().weight.mul_(5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def labelled(each: int, *, seed: int, labels: Sequence[str] = tuple(WORDS), strange: int = 0) -> list[TrainingRow]:
    """Return `each` rows of every label, then `strange` ones without a label."""
    rng = random.Random(seed)

    def text(words: str) -> str:
        chosen = [*rng.sample(words.split(), 3), *rng.sample(FILLERS, rng.randint(1, 5))]
        rng.shuffle(chosen)
        return " ".join(chosen)

    rows = [TrainingRow(f"{label}-{seed}-{n}", text(WORDS[label]), label) for label in labels for n in range(each)]
    return [*rows, *(TrainingRow(f"none-{seed}-{n}", text(" ".join(STRANGE)), None) for n in range(strange))]


def classifier_job(
    folder: Path,
    base: Path,
    *,
    train: Sequence[TrainingRow] | None = None,
    validation: Sequence[TrainingRow] | None = None,
    **settings: Any,
) -> Job:
    """Write a job to disk; by default with 12 rows for each of 6 labels."""
    train = labelled(12, seed=1) if train is None else train
    validation = labelled(5, seed=2, strange=10) if validation is None else validation
    details: Mapping[str, Any] = {"task": "classify", "labels": list(WORDS)}
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(folder, "intents", "classifier", str(base), {**SETTINGS, **settings}, details)
    write_job(job, train, validation)
    return job
