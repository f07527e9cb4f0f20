"""Implement `groundtune examples stats`: count the examples. Changes nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.cli import output
from groundtune.cli.examples.project_files import SHOWN, ExamplesFile, example_files, listed
from groundtune.cli.options import Json, OnlySplit, ProjectFolder
from groundtune.common.text import format_count

if TYPE_CHECKING:
    from groundtune.dataset.summary import ExampleStats


def run(
    file: ExamplesFile = None,
    *,
    split: OnlySplit = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Count examples by split, label and tag, and find duplicates.

    Also shows how long inputs and outputs are, and warns of duplicate inputs and of inputs in more than one split.
    """
    from groundtune.dataset.examples import read_examples, select_split
    from groundtune.dataset.reviewing import unreviewed_sentence
    from groundtune.dataset.summary import summarise

    files = example_files(file, folder)
    examples = [example for path in files for example in read_examples(path)]
    chosen = select_split(examples, split) if split else examples
    counts, sentence = summarise(chosen), unreviewed_sentence(chosen)
    if json:
        output.print_json({"files": files, **output.jsonable(counts), "unreviewed_sentence": sentence})
        return
    _show(counts, files)
    if sentence:
        output.print_line(sentence)


def _show(counts: "ExampleStats", files: list[Path]) -> None:
    output.print_line(f"{format_count(counts.examples, 'example')} in {', '.join(map(output.printable, files))}")
    output.print_line(f"  splits   {listed(counts.splits)}")
    output.print_line(f"  outputs  {listed(counts.kinds)}; {counts.with_evidence:,} with evidence")
    for name, counted in (("tags", counts.tags), ("origins", counts.origins), ("reviews", counts.reviews)):
        if counted:
            output.print_line(f"  {name:<8} {output.printable(listed(counted))}")
    if counts.groups:
        output.print_line(f"  groups   {counts.groups:,}")
    for name, lengths in (("inputs", counts.inputs), ("texts", counts.outputs)):
        if lengths:
            numbers = f"median {lengths.median:,}, 95th percentile {lengths.p95:,}, maximum {lengths.longest:,}"
            output.print_line(f"  {name:<8} {numbers} characters")
    if counts.labels:
        rows = [[output.printable(label), *by.values(), sum(by.values())] for label, by in counts.labels.items()]
        output.print_line()
        output.show_table(["label", *counts.splits, "all"], rows[:SHOWN])
        if len(rows) > SHOWN:
            output.print_line(f"and {len(rows) - SHOWN:,} more labels; --json has all")
    duplicates = counts.twice
    if duplicates.rows:
        ids = "; ".join(" = ".join(group[:3]) for group in duplicates.ids)
        output.warn(f"{format_count(duplicates.rows, 'example')} with a duplicate input: {output.printable(ids)}")
    if duplicates.across_splits:
        hint = "remove one of each; training skips inputs that are in the test split"
        output.warn(f"{format_count(duplicates.across_splits, 'input')} in more than one split: {hint}")
    if duplicates.conflicting:
        output.warn(f"{format_count(duplicates.conflicting, 'input')} with conflicting outputs")
