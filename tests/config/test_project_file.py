import tomllib
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from groundtune.common.openai_api import OPENAI_URL
from groundtune.config import Config, find_project, load_config
from groundtune.config.toml_edit import key_lines, line_of
from groundtune.config.values import Language
from groundtune.errors import ConfigError, MissingError
from groundtune.languages.language import LANGUAGES

SECRET = "sk-proj-abcdefghij0123456789"


def load(folder: Path, text: str, **environ: str) -> Config:
    path = folder / "groundtune.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ=environ)


def problems(folder: Path, text: str, **environ: str) -> list[tuple[int | None, str, str | None]]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    return [(problem.line, problem.message, problem.hint) for problem in caught.value.problems]


def test_a_name_is_enough(tmp_path: Path) -> None:
    config = load(tmp_path, 'name = "a"')
    assert config.models["default"].kind == "quote"
    assert config.documents.include == ("**/*",)
    assert config.retrieval.k == 8
    with pytest.raises(ValidationError):
        config.name = "b"


def test_base_url_defaults_to_openai_and_only_openai_has_a_default_key(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        'name="a"\n[models.one]\nkind="openai"\nmodel="m"\n'
        '[models.two]\nkind="openai"\nmodel="m"\nbase_url="http://localhost:1/v1/"',
    )
    assert (config.models["one"].base_url, config.models["one"].api_key_env) == (OPENAI_URL, "OPENAI_API_KEY")
    assert (config.models["two"].base_url, config.models["two"].api_key_env) == ("http://localhost:1/v1", None)
    assert set(config.models) == {"default", "one", "two"}


def test_every_problem_is_reported_with_its_line_and_hint(tmp_path: Path) -> None:
    text = """nme = "x"
task = "anser"
k = 5

[documents]
include = [
    "docs/**",
    "../secrets",   # outside
]
max_mb = "12"
[[documents.access]]
include = ["a"]
groups = ["hr"]
[[documents.access]]
groups = []
[retrieval]
dense_weight = 1.5
candidates = 2
[costs]
months = 1.5
[requirements]
residency = 3
"""
    assert problems(tmp_path, text) == [
        (None, "name is missing", 'add name = "…"'),
        (1, 'unknown key "nme"', 'did you mean "name"?'),
        (2, 'task must be one of answer, classify, extract, write, not "anser"', 'did you mean "answer"?'),
        (3, 'unknown key "k"', "it belongs under [retrieval]"),
        (
            8,
            'documents.include "../secrets" is outside the project folder',
            "patterns are relative to the folder of groundtune.toml",
        ),
        (10, 'documents.max_mb must be a whole number, not "12"', "write 12 without quotes"),
        (14, "documents.access.include is missing", 'add include = ["…"]'),
        (15, "documents.access.groups must not be empty", None),
        (17, "retrieval.dense_weight must be at most 1.0, not 1.5", None),
        (20, "costs.months must be a whole number, not 1.5", None),
        (22, 'requirements.residency must be "local" or a list of hosts', 'write "local" or ["api.example.com"]'),
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('[passages]\nmax_tokens = 20\nname = "x"', 3, 'unknown key "name" in [passages]'),
        ("[passages]\nmax_tokens = 20", 1, "passages.min_tokens must be at most max_tokens (20), not 60"),
        ('[retrieval]\nhistory = "rewrite"', 1, 'retrieval history = "rewrite" needs a model that generates text'),
        ("[retrieval]\nk = 500", 1, "retrieval.candidates must be at least k (500), not 100"),
        ('[models.a]\nkind = "local"', 1, 'models.a.model is required for kind = "local"'),
        ('[models.a]\nkind = "quote"\nbase_url = "http://x"', 3, 'models.a.base_url is not used by kind "quote"'),
        ("[retrieval]\ndense_weight = nan", 2, "retrieval.dense_weight must be a finite number, not nan"),
        ("[answers]\nstrict = 1", 2, "answers.strict must be true or false, not 1"),
        (
            '[compare]\nprompts = ["ful"]',
            2,
            'compare.prompts must be one of full, short, example, or a file, not "ful"',
        ),
        (
            '[compare]\nprompts = ["mine/short.txt"]',
            2,
            'compare.prompts "mine/short.txt" has the name of the built-in prompt "short"',
        ),
        (
            '[compare]\nprompts = ["our rules.txt"]',
            2,
            'compare.prompts the name of "our rules.txt" becomes part of the names of approaches',
        ),
        ('[compare]\nprompts = ["a/x.txt", "b/x.md"]', 2, 'compare.prompts two prompts have the name "x"'),
        ('[compare]\nprompts = ["../x.txt"]', 2, 'compare.prompts "../x.txt" is outside the project folder'),
        ("[compare]\nprompts = []", 2, "compare.prompts must not be empty"),
        ('[documents]\ninclude = "docs"', 2, 'documents.include must be a list, not "docs"'),
        (
            '[requirements]\nresidency = ["https://x"]',
            2,
            'requirements.residency "https://x" is a URL, not a host name',
        ),
    ],
)
def test_one_problem(tmp_path: Path, text: str, line: int, message: str) -> None:
    assert (line + 1, message) in [problem[:2] for problem in problems(tmp_path, f'name = "a"\n{text}')]


@pytest.mark.parametrize(
    "text",
    [
        f'[models.a]\nkind = "openai"\nmodel = "m"\napi_key_env = "{SECRET}"',
        f'[models.a]\nkind = "openai"\nmodel = "m"\napi_key = "{SECRET}"',
        f'[models.a]\nkind = "openai"\nmodel = "m"\nbase_url = "https://me:{SECRET}@host/v1"',
        f'[embedder]\nkind = "openai"\nmodel = "m"\napi_key_env = ["{SECRET}"]',
        '[models.a]\nkind = "openai"\nmodel = "m"\napi_key_env = "abcdefghij0123456789abcdefghij01"',
    ],
)
def test_a_secret_is_refused_and_never_printed(tmp_path: Path, text: str) -> None:
    reported = problems(tmp_path, f'name = "a"\n{text}')
    assert len(reported) == 1
    assert "abcdefghij" not in str(reported)


@pytest.mark.parametrize(
    ("text", "line"),
    [('name = "a"\nx =\n', 2), ('name = "a', 1), ('name = "a"\n\n[a]\n[a]', 4), ("name = a", 1), ("a = [1\n", 1)],
)
def test_broken_toml_is_reported_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    ((reported_line, message, _),) = problems(tmp_path, text)
    assert reported_line == line
    assert message.startswith("not TOML: ")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        'name = "a"\n[retrieval]\nk = 3\n[models.Fast-One]\nkind = "openai"\nmodel = "m"',
        GROUNDTUNE_RETRIEVAL__K="12",
        GROUNDTUNE_NAME="7",
        GROUNDTUNE_DEBUG="1",
        GROUNDTUNE_MODELS__FAST_ONE__MODEL="123",
        GROUNDTUNE_DOCUMENTS__INCLUDE="docs/**, *.pdf",
        GROUNDTUNE_DOCUMENTS__EXCLUDE='["a"]',
        GROUNDTUNE_ANSWERS__STRICT="True",
        GROUNDTUNE_RETRIEVAL__DENSE_WEIGHT="0.5",
        GROUNDTUNE_REQUIREMENTS__RESIDENCY="local",
    )
    assert (config.retrieval.k, config.name, config.models["Fast-One"].model) == (12, "7", "123")
    assert config.documents.include == ("docs/**", "*.pdf")
    assert config.documents.exclude == ("a",)
    assert (config.answers.strict, config.retrieval.dense_weight) == (True, 0.5)
    assert config.requirements.residency == "local"


def test_problems_of_the_environment_name_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, 'name = "a"', GROUNDTUNE_RETRIEVAL__K="many", GROUNDTUNE_RETRIVAL__K="1", GROUNDTUNE_NAME__X="1")
    assert [str(problem).split(" (")[0] for problem in caught.value.problems] == [
        "GROUNDTUNE_NAME__X: refers to a key inside a value that is not a table",
        'GROUNDTUNE_RETRIEVAL__K: retrieval.k must be a whole number, not "many"',
        'GROUNDTUNE_RETRIVAL__K: unknown key "retrival"',
    ]


def test_lines_of_every_form_of_key() -> None:
    text = (
        '\ufeff# [no] = 1\r\ntop."a.b".c = """\nx = 1\n"""\n'
        '[ "q t" . b ]\nlist = [\n  {a = 1, b = "]"}, # x\n  \'it\',\n]\n'
        "[[t]]\nx = 1\n[[t]]\n[t.u]\ny = '''\n\n'''\nz = 2024-01-01T00:00:00Z\n"
    )
    tomllib.loads(text.removeprefix("\ufeff"))
    lines = key_lines(text)
    assert lines["top", "a.b", "c"] == 2
    assert lines["q t", "b"] == 5
    assert lines["q t", "b", "list", 0, "b"] == 7
    assert lines["q t", "b", "list", 1] == 8
    assert lines["t", 0, "x"] == 11
    assert lines["t", 1, "u", "z"] == 17
    assert line_of(lines, ("t", 1, "nothing")) == 12
    assert line_of(lines, ("nothing",)) is None


def test_languages_match_the_text_module() -> None:
    assert set(get_args(Language)) == set(LANGUAGES)


def test_find_project(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(MissingError) as caught:
        find_project(tmp_path / "a")
    assert caught.value.hint == "groundtune init"
    (tmp_path / "groundtune.toml").touch()
    assert find_project(tmp_path / "a" / "b") == tmp_path / "groundtune.toml"
    assert find_project(tmp_path / "groundtune.toml") == tmp_path / "groundtune.toml"
    with pytest.raises(MissingError):
        load_config(tmp_path / "a" / "groundtune.toml")


def test_providers_of_fine_tuning(tmp_path: Path) -> None:
    text = """name = "a"
[providers.elsewhere]
base_url = "https://tune.example.com/v1/"
api_key_env = "ELSEWHERE_KEY"
min_examples = 3
no_new_jobs = "2027-01-06"
[providers.elsewhere.bases."small-1.5"]
usd_per_million = 2.5
ends = 2027-09-30
"""
    config = load(tmp_path, text, GROUNDTUNE_PROVIDERS__ELSEWHERE__MAX_EXAMPLE_TOKENS="2000")
    provider = config.providers["elsewhere"]
    assert (provider.base_url, provider.max_example_tokens) == ("https://tune.example.com/v1", 2000)
    assert provider.model_dump(mode="json", exclude_none=True)["no_new_jobs"] == "2027-01-06"
    assert provider.bases["small-1.5"].model_dump(mode="json")["ends"] == "2027-09-30"


def test_problems_of_providers_have_their_lines(tmp_path: Path) -> None:
    text = f"""name = "a"
[providers.elsewhere]
api_key = "{SECRET}"
min_examples = 0
no_new_jobs = "soon"
[providers.elsewhere.bases.small]
usd_per_milion = 2.5
"""
    reported = problems(tmp_path, text)
    assert [(line, message) for line, message, _ in reported] == [
        (3, 'unknown key "api_key" in [providers.elsewhere]'),
        (4, "providers.elsewhere.min_examples must be at least 1, not 0"),
        (5, 'providers.elsewhere.no_new_jobs "soon" is not a date'),
        (7, 'unknown key "usd_per_milion" in [providers.elsewhere.bases.small]'),
    ]
    assert [hint for *_, hint in reported][2:] == ["write it like 2027-01-14", 'did you mean "usd_per_million"?']
    assert "abcdefghij" not in str(reported)
