"""Export a tuned causal model for other servers: adapter, merged weights, GGUF, Ollama. Never changes the artifact.

The artifact is verified first: a model that failed its parity gate, or whose files changed, is not exported.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from groundtune.common.files import read_json, write_atomic
from groundtune.common.full_disk import name_full_disk
from groundtune.errors import MissingError
from groundtune.models.chat_template import TemplateError, render_messages, render_prompt
from groundtune.tune.artifacts import file_digests, read_artifact, verify_artifact
from groundtune.tune.base_model import check_base, load_tokenizer
from groundtune.tune.job import TuneError
from groundtune.tune.lora.loss_mask import find_chat_format
from groundtune.types import Artifact

CONVERTER = "convert_hf_to_gguf.py"
PLACES = ("llama.cpp", "src/llama.cpp", "git/llama.cpp")
"""Usual places of llama.cpp under the home folder."""
CLONE = "git clone https://github.com/ggml-org/llama.cpp ~/llama.cpp && pip install -r ~/llama.cpp/requirements.txt"
PACKAGES = {"google": "protobuf"}
"""Modules that the converter imports, whose package has another name."""
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w-]+)")
GGUF = "model.gguf"
TEMPLATE = "chat_template.jinja"
MARK = "groundtune-{}"

ExportFormat = Literal["adapter", "merged", "ollama", "gguf"]


def can_export(artifact: Artifact) -> bool:
    """Whether it is a causal model, whose trainer records under `serve` where the merged weights are."""
    return "serve" in artifact.details


def export(folder: Path, to: ExportFormat, target: Path) -> Path:
    """Write a folder (`gguf`: a file) at `target`, which must not exist yet, and return it.

    adapter: PEFT's files, for vLLM with `--enable-lora`. merged: safetensors in the base model's precision. ollama:
    GGUF with a Modelfile, for `ollama create`. Raises TuneError for a model that must not be used or cannot be
    exported, and when the target cannot be written; MissingError if llama.cpp's converter, or a package that it needs,
    is not found. Partial output is deleted.
    """
    artifact = read_artifact(folder)
    if not can_export(artifact):
        raise TuneError(f"{artifact.id} is of kind {artifact.kind}: only causal models (kind lora) can be exported")
    verify_artifact(folder, artifact)
    if target.exists():
        raise TuneError(f"{target} already exists", hint="choose a target that does not exist yet")
    merged = folder / str(artifact.details["serve"]["path"])
    with _beside(target) as temporary:
        if to == "adapter":
            _adapter(folder, artifact, temporary)
        elif to == "merged":
            shutil.copytree(merged, temporary)
        elif to == "gguf":
            _convert(merged, temporary)
        else:
            _ollama(merged, temporary)
    return target


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `target` when complete. Raises TuneError if it cannot be written."""
    temporary = target.with_name(f".{target.name}.writing")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        with name_full_disk(target.parent):
            yield temporary
        temporary.rename(target)
    except OSError as error:
        reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror or str(error)
        hint = "free some space, or fix the folder's permissions; --target chooses another folder"
        raise TuneError(f"cannot write {target}: {str(reason).lower()}", hint=hint) from error
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _adapter(folder: Path, artifact: Artifact, target: Path) -> None:
    """Copy the adapter, if the base model is still the one it was trained on."""
    about = artifact.details.get("adapter")
    if about is None:
        raise TuneError(f"{artifact.id} has no adapter: every weight was trained", hint="export it as merged")
    if file_digests(folder, [about["path"]]) != about["files"]:
        raise TuneError(f"{artifact.id}: its adapter has changed since training", hint="train again")
    config = read_json(folder / about["path"] / "adapter_config.json")
    for key in ("use_dora", "modules_to_save"):
        if config.get(key):
            raise TuneError(f"the adapter uses {key}, which vLLM cannot serve beside other adapters")
    check_base(artifact.base, artifact.base_digest)
    shutil.copytree(folder / about["path"], target)
    if artifact.details.get("template_date"):  # the base model's own template writes another date
        shutil.copy2(folder / artifact.details["serve"]["path"] / TEMPLATE, target / TEMPLATE)


def find_converter() -> Path:
    """Find llama.cpp's script: on the path, in $LLAMA_CPP, or in its usual places. Raises MissingError."""
    homes = [Path(root) for root in (os.environ.get("LLAMA_CPP"),) if root]
    homes += [Path.home() / place for place in PLACES]
    on_path = shutil.which(CONVERTER)
    for path in [Path(on_path)] if on_path else [home / CONVERTER for home in homes]:
        if path.is_file():
            return path
    raise MissingError(f"llama.cpp's {CONVERTER} was not found on this machine (nor in $LLAMA_CPP)", hint=CLONE)


def _convert(merged: Path, target: Path) -> None:
    """Convert to GGUF in the precision of the weights; quantising further is left to llama.cpp."""
    converter = find_converter()
    words = [sys.executable, str(converter), str(merged), "--outfile", str(target), "--outtype", "auto"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode or not target.is_file():
        if missing := _MISSING.search(done.stderr):
            raise _missing_package(missing[1], converter)
        output = " ".join((done.stderr or done.stdout).split())[-400:]
        raise TuneError(f"{CONVERTER} failed: {output}", hint=f"run it yourself: {' '.join(words[:3])}")


def _missing_package(module: str, converter: Path) -> MissingError:
    """Return the error of a converter that cannot import a module: the part of a dotted name before the first dot."""
    requirements = converter.with_name("requirements.txt")
    package = PACKAGES.get(module, module)
    what = f"-r {requirements}" if requirements.exists() else package
    return MissingError(f"{CONVERTER} needs the package {package}", hint=f"{sys.executable} -m pip install {what}")


def _ollama(merged: Path, target: Path) -> None:
    text = modelfile(merged)
    find_converter()
    target.mkdir()
    _convert(merged, target / GGUF)
    write_atomic(target / "Modelfile", text)


def modelfile(merged: Path) -> str:
    """Return a Modelfile with the chat template in Ollama's language and every end-of-turn token.

    Raises TuneError when that language cannot express the template: Ollama would prompt the model differently.
    """
    tokenizer = load_tokenizer(str(merged))
    config = read_json(merged / "generation_config.json") if (merged / "generation_config.json").exists() else {}
    chat_format = find_chat_format(tokenizer, config.get("eos_token_id"), name=merged.name)
    stops = dict.fromkeys(tokenizer.convert_ids_to_tokens(list(chat_format.end_ids)))
    lines = [f"FROM ./{GGUF}", f'TEMPLATE """{_template(tokenizer)}"""']
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    return "\n".join([*lines, "PARAMETER temperature 0", ""])


def _template(tokenizer: Any) -> str:
    """Translate the template: find the text around each message by rendering chats, then check it on longer ones."""
    start = tokenizer.bos_token or ""
    try:
        around, opening = _around(tokenizer, start)
    except TemplateError as error:
        raise _untranslatable(f"it rejects a plain chat: {error}") from error
    for roles in (
        ["user"],
        ["system", "user"],
        ["user", "assistant", "user"],
        ["system", *["user", "assistant"] * 2, "user"],
    ):
        if roles[0] == "system" and "system" not in around:
            continue
        turns = [{"role": role, "content": MARK.format(n)} for n, role in enumerate(roles)]
        expected = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assembled = "".join(around[turn["role"]][0] + turn["content"] + around[turn["role"]][1] for turn in turns)
        if assembled + opening != expected.removeprefix(start):
            raise _untranslatable("it renders a message differently depending on its neighbours")
    if any(sign in text for pair in around.values() for text in pair for sign in ("{{", "}}", '"""')):
        raise _untranslatable("it contains characters that Ollama's templates reserve")
    text = tokenizer.apply_chat_template([{"role": "user", "content": MARK}], tokenize=False)
    adds = tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]
    head = start if start and text.startswith(start) and not adds else ""
    # Without a place of its own, a system message is prepended to the first user message.
    folded = "" if "system" in around else "{{ if and $.System (le $i 1) }}{{ $.System }}\n\n{{ end }}"
    parts = []
    for role, (before, after) in around.items():
        inner = f"{before}{folded if role == 'user' else ''}{{{{ $m.Content }}}}{after}"
        parts.append(f'{{{{ if eq $m.Role "{role}" }}}}{inner}{{{{ end }}}}')
    return f"{head}{{{{ range $i, $m := .Messages }}}}{''.join(parts)}{{{{ end }}}}{opening}"


def _around(tokenizer: Any, start: str) -> tuple[dict[str, tuple[str, str]], str]:
    """Return the text around each role's message and the text that opens the answer, without the start of the chat."""
    reply, question, following = (MARK.format(name) for name in ("said", "asked", "then"))
    user = {"role": "user", "content": question}
    _, prompt = render_prompt(tokenizer, [user])
    # A reply inside the conversation: a template may write thinking before the last one, which is still to be written.
    talk = [user, {"role": "assistant", "content": reply}, {"role": "user", "content": following}]
    texts = prompt, render_messages(tokenizer, [user]), render_messages(tokenizer, talk)
    prompt, plain, full = (text.removeprefix(start) for text in texts)
    before, _, after = plain.partition(question)
    answer, _, rest = full[len(plain) :].partition(reply)
    end, _, last = rest.partition(before + following)
    if plain.count(question) != 1 or not (prompt.startswith(plain) and full.startswith(plain)) or last != after:
        raise _untranslatable("it does not render every message exactly once")
    around = {"user": (before, after), "assistant": (answer, end)}
    _, text = render_prompt(tokenizer, [{"role": "system", "content": reply}, user])
    if f"{reply}\n\n{question}" not in text:
        head, _, tail = text.removeprefix(start).partition(reply)
        around["system"] = (head, tail.partition(before + question)[0])
    return around, prompt[len(plain) :]


def _untranslatable(why: str) -> TuneError:
    return TuneError(
        f"Ollama's template language cannot express the chat template: {why}",
        hint="export as gguf and serve it with llama-server --jinja, which reads the model's own template",
    )
