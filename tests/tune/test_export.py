"""Exports of a trained model for other servers, and exports that are refused."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from groundtune.errors import GroundtuneError, MissingError
from groundtune.tune import export as exporting
from groundtune.tune.artifacts import read_artifact, write_artifact
from groundtune.tune.export import ExportFormat, export, modelfile
from groundtune.tune.job import TuneError
from groundtune.tune.lora import trainer
from groundtune.tune.worker import run_training
from tests.models.tiny import NO_SYSTEM, TEMPLATE
from tests.tune.extraction import extraction_job, few_rows, tiny_base

pytestmark = pytest.mark.slow

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BEGINNING = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n\n{{ m.content | trim }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n\n{% endif %}"
)
INST = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
THINKS = TEMPLATE.replace(
    "{{ m.content }}", "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}"
)
DEFAULT = "{% if messages[0].role != 'system' %}<|system|>be kind<|end|>{% endif %}" + TEMPLATE
CONVERTER = """
import sys
from pathlib import Path
folder, out = Path(sys.argv[1]), Path(sys.argv[sys.argv.index("--outfile") + 1])
if not (folder / "tokenizer.json").exists():
    sys.exit("no tokenizer")
out.write_bytes(b"GGUF" + (folder / "model.safetensors").read_bytes())
"""


@pytest.fixture(scope="module")
def model_folder(training_libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished training."""
    root = tmp_path_factory.mktemp("export")
    job = extraction_job(root / "job", tiny_base(root / "base"), **few_rows(), epochs=2)
    assert run_training(job.folder, lambda _: trainer) == 0
    return job.folder


@pytest.fixture
def converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-in for llama.cpp's script, which needs a checkout of its repository."""
    home = tmp_path / "llama.cpp"
    home.mkdir()
    (home / "convert_hf_to_gguf.py").write_text(CONVERTER)
    monkeypatch.setenv("LLAMA_CPP", str(home))
    return home


def test_the_adapter_loads_on_its_base(model_folder: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    to = export(model_folder, "adapter", tmp_path / "new" / "adapter")
    assert sorted(path.name for path in to.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    config = json.loads((to / "adapter_config.json").read_text())
    assert (config["use_dora"], config["modules_to_save"]) == (False, None)
    base = AutoModelForCausalLM.from_pretrained(config["base_model_name_or_path"])
    assert PeftModel.from_pretrained(base, to).active_adapter == "default"


def test_the_merged_model_needs_nothing_else(model_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    to = export(model_folder, "merged", tmp_path / "merged")
    assert AutoTokenizer.from_pretrained(to).chat_template == TEMPLATE
    AutoModelForCausalLM.from_pretrained(to)
    with pytest.raises(TuneError, match="already exists"):
        export(model_folder, "merged", to)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB; needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("export_format", ["merged", "gguf", "ollama"])
def test_a_full_disk_is_reported_and_leaves_no_partial_output(
    model_folder: Path, small_disk: Path, converter: Path, export_format: ExportFormat
) -> None:
    with pytest.raises(TuneError) as caught:
        export(model_folder, export_format, small_disk / "out")
    assert caught.value.message == f"cannot write {small_disk / 'out'}: no space left on device"
    assert "free some space" in (caught.value.hint or "")
    assert list(small_disk.iterdir()) == []


def test_an_unwritable_folder_is_reported(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TuneError, match=f"cannot write {tmp_path}/file/out: (not a directory|file exists)"):
        export(model_folder, "merged", tmp_path / "file/out")


def test_gguf_and_ollama(model_folder: Path, tmp_path: Path, converter: Path) -> None:
    assert export(model_folder, "gguf", tmp_path / "out.gguf").read_bytes().startswith(b"GGUF")
    to = export(model_folder, "ollama", tmp_path / "ollama")
    assert (to / "model.gguf").exists()
    lines = (to / "Modelfile").read_text()
    assert lines.startswith("FROM ./model.gguf\n")
    assert 'PARAMETER stop "<|end|>"' in lines
    assert 'PARAMETER stop "</s>"' in lines
    (converter / "convert_hf_to_gguf.py").write_text("import sys; sys.exit('this architecture is not supported')")
    with pytest.raises(TuneError, match="this architecture is not supported") as caught:
        export(model_folder, "gguf", tmp_path / "again.gguf")
    assert sys.executable in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("module", "package"), [("sentencepiece", "sentencepiece"), ("google.protobuf", "protobuf"), ("gguf", "gguf")]
)
def test_a_package_that_the_converter_lacks_is_named(
    model_folder: Path, tmp_path: Path, converter: Path, module: str, package: str
) -> None:
    script = f"raise ModuleNotFoundError(\"No module named '{module}'\")"
    (converter / "convert_hf_to_gguf.py").write_text(script)
    with pytest.raises(MissingError, match=f"needs the package {package}") as caught:
        export(model_folder, "gguf", tmp_path / "out.gguf")
    assert caught.value.hint == f"{sys.executable} -m pip install {package}"
    (converter / "requirements.txt").write_text(package)
    with pytest.raises(MissingError) as caught:
        export(model_folder, "gguf", tmp_path / "out.gguf")
    assert caught.value.hint == f"{sys.executable} -m pip install -r {converter}/requirements.txt"


def test_without_llama_cpp_it_says_how_to_get_it(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLAMA_CPP", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(exporting, "PLACES", ())
    with pytest.raises(MissingError, match=r"convert_hf_to_gguf\.py was not found on this machine") as caught:
        export(model_folder, "gguf", tmp_path / "out.gguf")
    assert "git clone https://github.com/ggml-org/llama.cpp" in (caught.value.hint or "")


@pytest.fixture(scope="module")
def merged_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a model with the given chat template."""
    return cache(lambda template: tiny_base(tmp_path_factory.mktemp("merged"), template=template))


@pytest.mark.parametrize("template", [TEMPLATE, NO_SYSTEM, CHATML, BEGINNING, INST, THINKS], ids=range(6))
@pytest.mark.parametrize("roles", ["u", "su", "uau", "suauau"])
def test_ollama_prompts_as_the_model_was_trained(
    merged_model: Callable[[str], Path], template: str, roles: str
) -> None:
    from transformers import AutoTokenizer

    merged = merged_model(template)
    names = {"s": "system", "u": "user", "a": "assistant"}
    turns = [{"role": names[role], "content": f"it says {n}"} for n, role in enumerate(roles)]
    folded = template in (NO_SYSTEM, INST) and roles[0] == "s"
    messages = [{"role": "user", "content": "it says 0\n\nit says 1"}, *turns[2:]] if folded else turns
    tokenizer = AutoTokenizer.from_pretrained(merged)
    wanted = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert ollama(modelfile(merged), turns) == wanted


def ollama(text: str, turns: list[dict[str, str]]) -> str:
    """Render a template as Go would: a range over the messages with a branch for each role."""
    template = re.search(r'TEMPLATE """(.*?)"""', text, re.DOTALL)
    assert template is not None
    head, rest = template[1].split("{{ range $i, $m := .Messages }}")
    body, opening = rest.rsplit("{{ end }}", 1)
    pattern = r'\{\{ if eq \$m\.Role "(\w+)" \}\}(.*?\{\{ \$m\.Content \}\}.*?)\{\{ end \}\}(?=\{\{ if eq|$)'
    branches = dict(re.findall(pattern, body, re.DOTALL))
    system = "".join(turn["content"] for turn in turns if turn["role"] == "system")
    rendered = ""
    for number, turn in enumerate(turns):
        branch = branches.get(turn["role"], "")
        fold = "{{ if and $.System (le $i 1) }}{{ $.System }}\n\n{{ end }}"
        branch = branch.replace(fold, f"{system}\n\n" if system and number <= 1 else "")
        rendered += branch.replace("{{ $m.Content }}", turn["content"])
    return head + rendered + opening


def test_a_template_that_ollama_cannot_express_is_refused(tmp_path: Path) -> None:
    merged = tiny_base(tmp_path / "merged", template=DEFAULT)
    with pytest.raises(TuneError, match="Ollama's template language cannot express") as caught:
        modelfile(merged)
    assert "--jinja" in (caught.value.hint or "")


def test_an_unusable_model_is_not_exported(model_folder: Path, tmp_path: Path) -> None:
    artifact = read_artifact(model_folder)
    copy = shutil.copytree(model_folder, tmp_path / "copy" / model_folder.name)
    write_artifact(copy, replace(artifact, unusable="the merged model's logits differ"))
    with pytest.raises(GroundtuneError, match="must not be used: the merged model's logits differ"):
        export(copy, "merged", tmp_path / "out")
    write_artifact(copy, replace(artifact, kind="classifier", details={}))
    with pytest.raises(TuneError, match="is of kind classifier: only causal models"):
        export(copy, "merged", tmp_path / "out")
    write_artifact(copy, artifact)
    (copy / "adapter" / "adapter_model.safetensors").write_bytes(b"other")
    with pytest.raises(TuneError, match="its adapter has changed since training"):
        export(copy, "adapter", tmp_path / "out")
    (copy / "merged" / "model.safetensors").write_bytes(b"other")
    with pytest.raises(GroundtuneError, match="has changed since training"):
        export(copy, "merged", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_adapter_is_not_exported_for_a_changed_base(model_folder: Path, tmp_path: Path) -> None:
    base = model_folder.parent / "base"
    config = (base / "config.json").read_text()
    try:
        (base / "config.json").write_text(config.replace('"silu"', '"gelu"'))
        with pytest.raises(TuneError, match="has changed since training"):
            export(model_folder, "adapter", tmp_path / "out")
    finally:
        (base / "config.json").write_text(config)


def test_full_training_has_no_adapter(tmp_path: Path) -> None:
    job = extraction_job(tmp_path / "job", tiny_base(tmp_path / "base"), **few_rows(), epochs=1, mode="full")
    assert run_training(job.folder, lambda _: trainer) == 0
    with pytest.raises(TuneError, match="has no adapter: every weight was trained"):
        export(job.folder, "adapter", tmp_path / "out")
