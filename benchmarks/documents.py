"""Hold what is read of documents against what a person sees of them, by format.

    python -m benchmarks.documents files markitdown-fixtures examples/handbook/docs
    python -m benchmarks.documents generated --seeds 10000:10200
    python -m benchmarks.documents generated --seeds 0:20 --formats .docx --show 3

files: tokens of the text against what LibreOffice, Chromium, poppler and PDFium show of the same file; mail is taken
apart by mail-parser and python-oxmsg, Markdown rendered by mistune.
generated: files of every structure in every format, against what was written into them; also where it was found.

Targets: at least 99.5% of visible tokens are read, and 99.5% of the tokens that are read are visible, per format.
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks.common import table
from benchmarks.oracles.differential import compare_file, read
from benchmarks.oracles.exceptions import exceptions_of
from benchmarks.oracles.generated import HELD_OUT, Checked, check, formats
from benchmarks.oracles.tokens import Comparison, tokens
from benchmarks.oracles.visible import see

from groundtune.errors import ParseError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    files = commands.add_parser("files")
    files.add_argument("paths", nargs="+", type=Path)
    generated = commands.add_parser("generated")
    generated.add_argument("--seeds", default="0:20", help="first and last, the last one not included")
    generated.add_argument("--formats", nargs="*", help="suffixes; default: all")
    for command in (files, generated):
        command.add_argument("--show", type=int, default=0, help="differences to print of each file, or of each kind")
    arguments = parser.parse_args()
    if arguments.command == "files":
        compare_files(arguments.paths, show=arguments.show)
        return
    first, last = map(int, arguments.seeds.split(":"))
    if arguments.show and last > HELD_OUT:
        parser.error(f"seeds from {HELD_OUT} on are for measuring; --show takes lower ones")
    checked = check(range(first, last), arguments.formats or formats())
    if arguments.show:
        show_faults(checked, most=arguments.show)
    table(generated_rows(checked))


def compare_files(paths: list[Path], *, show: int) -> None:
    """Print the differences of files, then the table of their formats."""
    files = sorted(
        {file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()}
    )
    outcomes, seen = read(files), see(files)
    by_format: dict[str, list[tuple[Comparison, Comparison]]] = defaultdict(list)
    for file in files:
        outcome, shown = outcomes[file], seen[file]
        if isinstance(outcome, ParseError) or shown is None:
            print(f"--- {file}: {outcome if isinstance(outcome, ParseError) else 'opened by no program here'}")
            continue
        exceptions = exceptions_of(file.suffix.lower())
        after = compare_file(outcome, shown, exceptions)
        if file.name not in exceptions.files:
            by_format[file.suffix.lower()].append((compare_file(outcome, shown), after))
        if show and (after.missing or after.unseen):
            print(f"--- {file}: {after.present}/{after.visible} present, {after.seen}/{after.read} visible")
            for line in context((shown.reduced or shown.certain)[0], after.missing, most=show):
                print(f"  missing {line}")
            for line in context("\n".join(each.text for each in outcome), after.unseen, most=show):
                print(f"  unseen {line}")
    rows = [["format", "files", "tokens", "present", "visible", "order", "after exceptions: present", "visible"]]
    for suffix, results in sorted(by_format.items()):
        before, after_ = [each for each, _ in results], [each for _, each in results]
        count = f"{sum(each.visible for each in before):,}"
        rows.append([suffix, str(len(results)), count, *shares(before), lowest_order(before), *shares(after_)])
    table(rows)


def context(text: str, wanted: Counter[str], *, most: int) -> list[str]:
    """Return lines of a text that have wanted tokens, these marked."""
    left = wanted.copy()
    lines = []
    for line in text.splitlines():
        hits = [token for token in tokens(line) if left[token] > 0]
        if hits:
            left.subtract(hits)
            lines.append(f"[{' '.join(dict.fromkeys(hits))}] in: {line.strip()[:160]}")
    return lines[:most]


def show_faults(checked: list[Checked], *, most: int) -> None:
    """Print examples of each kind of fault, one per file at first."""
    examples: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in checked:
        if isinstance(each.outcome, ParseError):
            examples[each.suffix, "not read"].append(f"{each.seed}: {each.outcome}")
            continue
        for fault in each.outcome.faults:
            found = "" if fault.found is None else f"\n      read: {fault.found[:300]!r}"
            examples[each.suffix, fault.kind].append(f"{each.seed}: {fault.wanted[:300]}{found}")
    for (suffix, kind), lines in examples.items():
        print(f"{suffix} {kind}: {len(lines)}")
        step = max(1, len(lines) // most)
        for line in lines[::step][:most]:
            print(f"   {line}")


def generated_rows(checked: list[Checked]) -> list[list[str]]:
    """Return the table of generated files, a row for each format."""
    rows = [["format", "files", "tokens", "present", "visible", "order", "faults in files", "kinds"]]
    for suffix in dict.fromkeys(each.suffix for each in checked):
        outcomes = [each.outcome for each in checked if each.suffix == suffix]
        fine = [each for each in outcomes if not isinstance(each, ParseError)]
        results = [each.comparison for each in fine]
        kinds = Counter(fault.kind for each in fine for fault in each.faults)
        told = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
        if lost := len(outcomes) - len(fine):
            told = f"not read: {lost}, {told}"
        faulty = lost + sum(bool(each.faults) for each in fine)
        count = f"{sum(each.visible for each in results):,}"
        rows.append(
            [suffix, str(len(outcomes)), count, *shares(results), lowest_order(results), str(faulty), told or "-"]
        )
    return rows


def shares(results: list[Comparison]) -> tuple[str, str]:
    """Return which share of the visible tokens is present, and which of ours is visible."""
    visible, ours = sum(each.visible for each in results), sum(each.read for each in results)
    present, seen = sum(each.present for each in results), sum(each.seen for each in results)
    return f"{present / max(1, visible):.2%}", f"{seen / max(1, ours):.2%}"


def lowest_order(results: list[Comparison]) -> str:
    orders = [each.order for each in results if each.order is not None]
    return f"{min(orders):.3f}" if orders else "-"


if __name__ == "__main__":
    main()
