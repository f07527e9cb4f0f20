"""Print what became of served answers, for the commands that make examples of them."""

from typing import TYPE_CHECKING

from groundtune.cli import output

if TYPE_CHECKING:
    from groundtune.workflows.promoting import PromotionReport


def show(report: "PromotionReport", *, json: bool) -> int:
    """Print how many examples there are and why the other answers became none; return 1 if none is new."""
    if json:
        output.print_json(report)
    else:
        output.show_blocks(report.view())
        if report.new and not report.used:
            output.hint(f'add it to groundtune.toml: [examples] files = ["{output.printable(report.file.name)}"]')
        if report.new:
            output.next_step("groundtune tune NAME", "trains on them")
    return 0 if report.new else 1
