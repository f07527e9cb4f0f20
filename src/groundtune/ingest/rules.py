"""Apply the patterns of the project file to names, and watch which match nothing or miss files by their spelling alone.

A file that an access rule misses only because of upper and lower case, a space or a character that cannot be seen is
not read, nor any other: `refusal` says which rule to change. One that an exclude pattern, or the pattern of examples,
misses so is left out. Letters that only look alike, such as Latin and Cyrillic ones, are different letters here. Reads
no file.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from groundtune.common.text import format_count
from groundtune.config import PROJECT_FILE, Config
from groundtune.config.toml_edit import key_lines, line_of
from groundtune.errors import ConfigError, Problem
from groundtune.ingest.access_rules import applies, groups_for, stricter
from groundtune.ingest.patterns import excludes, matches_pattern, nearly_excludes, nearly_matches
from groundtune.types import EVERYONE

RuleKey = Literal["documents.include", "documents.exclude", "documents.access", "documents.parsers", "examples.files"]
SHOWN = 3
"""Files that a message names."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern of the project file."""

    key: RuleKey
    pattern: str
    line: int | None = None
    """Line of groundtune.toml, where the file has the key."""

    @property
    def place(self) -> str:
        """Where to change it: `groundtune.toml:7`, or the key."""
        return f"{PROJECT_FILE}:{self.line}" if self.line else self.key


@dataclass(frozen=True, slots=True)
class RuleNote:
    """A pattern that matches nothing, or fewer files than it seems to."""

    rule: Rule
    message: str
    hint: str | None = None

    @property
    def text(self) -> str:
        """The note on one line, with its place."""
        return f"{self.rule.place}: {self.message}"


class DocumentRules:
    """The patterns of [documents] and of the files with examples, and what they have matched so far."""

    def __init__(self, config: Config, root: Path) -> None:
        settings = config.documents
        self.rules = _rules(config, root)
        self._by_key = {key: [rule for rule in self.rules if rule.key == key] for key in get_args(RuleKey)}
        self._root = root
        self._access = [(rule.include, rule.groups) for rule in settings.access]
        self._follow_links = settings.follow_links
        silent = {"examples.files"}  # whoever needs examples says which are missing
        silent |= {"documents.include"} - {f"documents.{key}" for key in settings.model_fields_set}  # the default
        self._unmatched = {rule: None for rule in self.rules if rule.key not in silent}
        self._missed: dict[Rule, list[str]] = {}

    @property
    def restricting(self) -> bool:
        """Whether there are access rules."""
        return bool(self._access)

    # -- names ---------------------------------------------------------------------------------------------------

    def groups_for(self, source: str) -> tuple[str, ...]:
        """Return the groups that may see a file or an item of a source; none if an access rule nearly matches it."""
        groups: tuple[str, ...] = (EVERYONE,)
        for name in self._names(source):
            groups = stricter(groups, () if self.missed_access(name) else groups_for(name, self._access))
        return groups

    def missed_access(self, source: str) -> Rule | None:
        """Return an access rule that nearly matches a file or item which no access rule matches."""
        source = source.removeprefix("./")
        rules = self._of("documents.access")
        near = (rule for rule in rules if nearly_matches(source, rule.pattern))
        return next(near, None) if not any(applies(source, rule.pattern) for rule in rules) else None

    def withheld(self, source: str) -> str | None:
        """Return why an item of a source must not be read, or None."""
        rule = self.missed_access(source)
        return f"{rule.place}: {_miss(rule, [source]).message}; {_FIX[rule.key]}" if rule else None

    def _names(self, source: str) -> list[str]:
        """Return the names of a file: its own and, behind a symbolic link, its real one within the project."""
        if not self._follow_links:
            return [source]
        real = Path(os.path.realpath(self._root / source.removeprefix("./")))
        root = Path(os.path.realpath(self._root))
        return list(
            dict.fromkeys([source, *([real.relative_to(root).as_posix()] if real.is_relative_to(root) else [])])
        )

    def _of(self, key: RuleKey) -> Sequence[Rule]:
        return self._by_key.get(key, ())

    # -- what a walk finds ---------------------------------------------------------------------------------------

    def admit(self, source: str) -> bool:
        """Note a file that the patterns select; return whether it may be read."""
        for name in self._names(source):
            if any(excludes(name, rule.pattern) for rule in self._of("documents.exclude")):
                return False  # behind a symbolic link
            if near := self._missed_exclude(name) or self.missed_access(name):
                self._missed.setdefault(near, []).append(source)
                return False
        self.match(source)
        self._note_usual_parser(source)
        return True

    def _note_usual_parser(self, source: str) -> None:
        """Note a file that no rule gives to another parser, but one nearly does."""
        rules = self._of("documents.parsers")
        if any(applies(source, rule.pattern) for rule in rules):
            return
        if near := next((rule for rule in rules if nearly_matches(source, rule.pattern)), None):
            self._missed.setdefault(near, []).append(source)

    def _missed_exclude(self, path: str) -> Rule | None:
        exclude = (rule for rule in self._of("documents.exclude") if nearly_excludes(path, rule.pattern))
        examples = (rule for rule in self._of("examples.files") if nearly_matches(path, rule.pattern))
        return next(exclude, None) or next(examples, None)

    def match(self, source: str) -> None:
        """Note a file or an item of a source that is among the documents."""
        for rule in [rule for rule in self._unmatched if rule.key != "documents.exclude"]:
            if (
                applies(source, rule.pattern)
                if rule.key in ("documents.access", "documents.parsers")
                else matches_pattern(source, rule.pattern)
            ):
                del self._unmatched[rule]

    def excluded(self, path: str) -> None:
        """Note a file or folder that is left out."""
        for rule in [rule for rule in self._unmatched if rule.key == "documents.exclude"]:
            if excludes(path, rule.pattern):
                del self._unmatched[rule]

    def nearly_included(self, path: str) -> None:
        """Note a file that is not selected, but would be if the include patterns were matched loosely."""
        rule = next((rule for rule in self._of("documents.include") if nearly_matches(path, rule.pattern)), None)
        if rule:
            self._missed.setdefault(rule, []).append(path)

    # -- what is said about it -----------------------------------------------------------------------------------

    @property
    def misses(self) -> list[RuleNote]:
        """Patterns that miss files by their spelling alone."""
        return [_miss(rule, files) for rule, files in self._missed.items()]

    @property
    def notes(self) -> list[RuleNote]:
        """The same, and patterns that match nothing."""
        return [*self.misses, *(RuleNote(rule, _NOTHING[rule.key].format(rule.pattern)) for rule in self.unmatched)]

    @property
    def unmatched(self) -> list[Rule]:
        """Patterns that match nothing, not even loosely."""
        return [rule for rule in self._unmatched if rule not in self._missed]

    @property
    def refusal(self) -> ConfigError | None:
        """Why nothing is read, or None; complete once the walk has ended."""
        path = self._root / PROJECT_FILE
        access = [note for note in self.misses if note.rule.key == "documents.access"]
        problems = [Problem(path, note.message, note.rule.line, note.hint) for note in access]
        return ConfigError(problems) if problems else None


_NOTHING: dict[RuleKey, str] = {
    "documents.include": 'documents.include "{}" matches no file',
    "documents.exclude": 'documents.exclude "{}" leaves out nothing',
    "documents.access": 'documents.access "{}" matches no document',
    "documents.parsers": 'documents.parsers "{}" matches no document',
    "examples.files": 'examples.files "{}" matches no file',
}
_CONSEQUENCE: dict[RuleKey, str] = {
    "documents.include": "as it stands, left out",
    "documents.exclude": "left out, to be safe",
    "documents.access": "as it stands, open to everyone",
    "documents.parsers": "as it stands, read as any other file",
    "examples.files": "left out, to be safe",
}
_FIX: dict[RuleKey, str] = {
    "documents.include": "spell the pattern as the files are spelled",
    "documents.exclude": "spell the pattern as the files are spelled; to keep them all the same, put a letter of it in "
    'brackets, as in "[d]rafts"',
    "documents.access": "spell the pattern as the files are spelled; to leave them open all the same, add a rule for "
    'them with groups = ["*"]',
    "documents.parsers": "spell the pattern as the files are spelled",
    "examples.files": "spell the pattern as the file is spelled",
}


def _miss(rule: Rule, files: Sequence[str]) -> RuleNote:
    by_case = all(applies(file.casefold(), rule.pattern.casefold()) for file in files)
    what = "upper and lower case" if by_case else "upper and lower case, spaces and characters that cannot be seen"
    shown = ", ".join(map(_visible, files[:SHOWN])) + (f" and {len(files) - SHOWN:,} more" if files[SHOWN:] else "")
    counted = "" if len(files) == 1 else f"{format_count(len(files), 'file')}: "
    message = f'{rule.key} "{_visible(rule.pattern)}" would match {counted}{shown} if {what} did not count'
    return RuleNote(rule, f"{message}; {_CONSEQUENCE[rule.key]}", _FIX[rule.key])


def _visible(name: str) -> str:
    """Return a name with characters that cannot be seen as `\\u200b`."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in name)


def _rules(config: Config, root: Path) -> list[Rule]:
    settings = config.documents
    try:
        lines = key_lines((root / PROJECT_FILE).read_text("utf-8-sig"))
    except (OSError, ValueError):  # read and checked before; a line number is not worth a failure
        lines = {}

    def rules(key: RuleKey, patterns: Iterable[str], *place: str | int) -> list[Rule]:
        known = place in lines
        return [Rule(key, text, line_of(lines, (*place, at)) if known else None) for at, text in enumerate(patterns)]

    found = rules("documents.include", settings.include, "documents", "include")
    found += rules("documents.exclude", settings.exclude, "documents", "exclude")
    found += rules("examples.files", config.examples.files, "examples", "files")
    for number, access in enumerate(settings.access):
        found += rules("documents.access", access.include, "documents", "access", number, "include")
    for number, parser in enumerate(settings.parsers):
        found += rules("documents.parsers", parser.include, "documents", "parsers", number, "include")
    return found
