"""Checks of a project: patterns, schemas and functions, and all problems reported at once."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundtune.config import CheckConfig
from groundtune.errors import ConfigError
from groundtune.measure.output_checks import make_checks
from groundtune.types import Example

EXAMPLE = Example("q", "Write to Ms Fox", "Dear Ms Fox, …", tags=("letter",))


def check(root: Path, **config: Any) -> Any:
    """Return the test function of a single check."""
    return make_checks([CheckConfig(name="it", **config)], root)[0].test


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "rules.py").write_text(
        "from helper import LIMIT\n"
        "def short(text, example): return len(text) <= LIMIT\n"
        "def share(text, example): return 0.25\n"
        "def tagged(text, example): return 'letter' in example.tags\n"
        "def much(text, example): return 7\n"
        "def nothing(text, example): return None\n"
        "def breaks(text, example): raise RuntimeError('no')\n"
        "async def later(text, example): return True\n"
        "number = 3\n"
    )
    (tmp_path / "helper.py").write_text("LIMIT = 10\n")
    yield tmp_path
    for name in ("rules", "helper", "broken"):
        sys.modules.pop(name, None)


def test_a_pattern_must_match_somewhere_and_an_absent_one_nowhere(root: Path) -> None:
    greets = check(root, pattern=r"(?m)^Dear \w+")
    assert (greets("Hello\nDear Fox", EXAMPLE), greets("dear fox", EXAMPLE)) == (1.0, 0.0)
    silent = check(root, absent=r"(?i)guarantee")
    assert (silent("We Guarantee it", EXAMPLE), silent("", EXAMPLE)) == (0.0, 1.0)


def test_a_text_has_a_number_of_words_and_short_paragraphs(root: Path) -> None:
    text = "Dear Ms Fox,\n\nIt costs £3,690. You pay 10.5 percent now.\nThe rest is due on 1 May.\n\nRegards"
    longest = [check(root, max_words=count)(text, EXAMPLE) for count in (18, 19)]
    shortest = [check(root, min_words=count)(text, EXAMPLE) for count in (19, 20)]
    assert (longest, shortest) == ([0.0, 1.0], [1.0, 0.0])
    assert [check(root, max_sentences=most)(text, EXAMPLE) for most in (2, 3)] == [0.0, 1.0]
    assert check(root, max_sentences=1)("", EXAMPLE) == 1.0
    assert check(root, max_words=3)("謝謝您", EXAMPLE) == 1.0


def test_a_text_must_be_json_of_the_schema(root: Path) -> None:
    (root / "letter.json").write_text('{"type": "object", "required": ["to"]}')
    test = check(root, schema_file="letter.json")
    assert test('{"to": "Fox"}', EXAMPLE) == 1.0
    assert [test(text, EXAMPLE) for text in ('{"from": "x"}', "Dear Fox", '```\n{"to": 1}\n```')] == [0.0] * 3


def test_a_function_of_the_project_gives_true_false_or_a_share(root: Path) -> None:
    before = list(sys.path)
    assert check(root, function="rules:short")("short", EXAMPLE) == 1.0
    assert check(root, function="rules:short")("much too long", EXAMPLE) == 0.0
    assert check(root, function="rules:share")("", EXAMPLE) == 0.25
    assert check(root, function="rules:tagged")("", EXAMPLE) == 1.0
    assert sys.path == before


@pytest.mark.parametrize(("name", "error"), [("much", ValueError), ("nothing", TypeError), ("breaks", RuntimeError)])
def test_an_invalid_result_raises_instead_of_giving_0(root: Path, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        check(root, function=f"rules:{name}")("text", EXAMPLE)


def test_two_projects_may_have_modules_of_the_same_name(tmp_path: Path) -> None:
    for name, value in (("first", 0.1), ("second", 0.2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "twins.py").write_text(f"def it(text, example): return {value}\n")
    try:
        tests = [check(tmp_path / name, function="twins:it") for name in ("first", "second")]
        assert [test("", EXAMPLE) for test in tests] == [0.1, 0.2]
        assert Path(sys.modules["twins"].__file__ or "").parent.name == "first"
        again = check(tmp_path / "first", function="twins:it")
        assert again("", EXAMPLE) == 0.1
    finally:
        sys.modules.pop("twins", None)


def test_a_module_in_a_package_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "style.py").write_text("def it(text, example): return True\n")
    try:
        assert check(tmp_path, function="house.style:it")("", EXAMPLE) == 1.0
    finally:
        for name in ("house", "house.style"):
            sys.modules.pop(name, None)


def test_every_problem_is_reported_at_once(root: Path) -> None:
    (root / "broken.py").write_text("def (\n")
    (root / "list.json").write_text("[]")
    (root / "type.json").write_text('{"type": "objekt"}')
    (root / "text.json").write_text("{")
    functions = ("rules:missing", "rules:number", "rules:later", "nowhere:it", "broken:it")
    files = ("none.json", "list.json", "type.json", "text.json")
    configs = [
        *(CheckConfig(name=f"f{at}", function=function) for at, function in enumerate(functions)),
        *(CheckConfig(name=f"s{at}", schema_file=file) for at, file in enumerate(files)),
        CheckConfig(name="f0", pattern="fine"),
    ]
    with pytest.raises(ConfigError) as caught:
        make_checks(configs, root)
    problems = caught.value.problems
    assert len(problems) == 10
    assert all(problem.hint for problem in problems)
    text = str(caught.value)
    for part in (
        'check 1 "f0": "rules" has no function "missing"',
        'has no function "number"',
        '"rules:later" is async',
        "ModuleNotFoundError",
        "SyntaxError",
        "none.json: check 6",
        "not an object",
        "'objekt' is not valid",
        "not JSON: ",
        'check 10 "f0": duplicate name',
    ):
        assert part in text
