"""A tuned causal model to what other servers load: adapter, merged weights, GGUF, Ollama. Never changes the artifact.

What the artifact says is checked first: a model that failed its parity gate, or whose files changed, is not exported.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from groundtune.chat_template import TemplateError, prompted, replied
from groundtune.errors import MissingError
from groundtune.tune.artifacts import digests, read_artifact, verify
from groundtune.tune.base import check_base, load_tokenizer
from groundtune.tune.chat import find_format
from groundtune.tune.disk import named_if_full
from groundtune.tune.job import TuneError
from groundtune.types import Artifact
from groundtune.workspace import read_json, write_atomic

CONVERTER = "convert_hf_to_gguf.py"
PLACES = ("llama.cpp", "src/llama.cpp", "git/llama.cpp")
"""Under the home folder, where people keep llama.cpp."""
CLONE = "git clone https://github.com/ggml-org/llama.cpp ~/llama.cpp && pip install -r ~/llama.cpp/requirements.txt"
GGUF = "model.gguf"
MARK = "groundtune-{}"

Form = Literal["adapter", "merged", "ollama", "gguf"]


def export(folder: Path, to: Form, target: Path) -> Path:
    """Writes a folder (`gguf`: a file) at `target`, which must not be there yet, and returns it.

    adapter: PEFT's files, for vLLM with `--enable-lora`. merged: safetensors in the base's precision. ollama: GGUF with
    a Modelfile, for `ollama create`. Raises TuneError for a model that must not be used or has no such form, and where
    it cannot be written, MissingError without llama.cpp's converter. What is half is deleted.
    """
    artifact = read_artifact(folder)
    if artifact.kind != "lora":
        raise TuneError(f"{artifact.id} is no causal model, but of kind {artifact.kind}: it has no such form")
    verify(folder, artifact)
    if target.exists():
        raise TuneError(f"{target} is there already", hint="name a folder that is not there yet")
    merged = folder / str(artifact.details["serve"]["path"])
    with _beside(target) as beside:
        if to == "adapter":
            _adapter(folder, artifact, beside)
        elif to == "merged":
            shutil.copytree(merged, beside)
        elif to == "gguf":
            _convert(merged, beside)
        else:
            _ollama(merged, beside)
    return target


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Where to write what becomes `target` when it is whole. Raises TuneError without room or rights."""
    beside = target.with_name(f".{target.name}.writing")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(beside)
        with named_if_full(target.parent):
            yield beside
        beside.rename(target)
    except OSError as error:
        said = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror or str(error)
        hint = "make room, or fix the rights of the folder; --target names another one"
        raise TuneError(f"cannot write {target}: {str(said).lower()}", hint=hint) from error
    finally:
        _remove(beside)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _adapter(folder: Path, artifact: Artifact, target: Path) -> None:
    """For the very base that it was trained beside."""
    about = artifact.details.get("adapter")
    if about is None:
        raise TuneError(f"{artifact.id} has no adapter: every weight was trained", hint="export it as merged")
    if digests(folder, [about["path"]]) != about["files"]:
        raise TuneError(f"{artifact.id}: its adapter is not the one that was trained", hint="train again")
    config = read_json(folder / about["path"] / "adapter_config.json")
    for key in ("use_dora", "modules_to_save"):
        if config.get(key):
            raise TuneError(f"the adapter has {key}, which vLLM cannot serve beside other adapters")
    check_base(artifact.base, artifact.base_digest)
    shutil.copytree(folder / about["path"], target)


def find_converter() -> Path:
    """llama.cpp's script: on the path, in $LLAMA_CPP, or where people keep it. Raises MissingError."""
    homes = [Path(one) for one in (os.environ.get("LLAMA_CPP"),) if one]
    homes += [Path.home() / place for place in PLACES]
    found = shutil.which(CONVERTER)
    for path in [Path(found)] if found else [home / CONVERTER for home in homes]:
        if path.is_file():
            return path
    raise MissingError(f"llama.cpp's {CONVERTER} is not on this machine (nor in $LLAMA_CPP)", hint=CLONE)


def _convert(merged: Path, target: Path) -> None:
    """GGUF in the precision of the weights; what quantises it further is llama.cpp's own business."""
    words = [sys.executable, str(find_converter()), str(merged), "--outfile", str(target), "--outtype", "auto"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode or not target.is_file():
        said = " ".join((done.stderr or done.stdout).split())[-400:]
        raise TuneError(f"{CONVERTER} failed: {said}", hint=f"run it yourself: {' '.join(words[:3])}")


def _ollama(merged: Path, target: Path) -> None:
    text = modelfile(merged)
    find_converter()
    target.mkdir()
    _convert(merged, target / GGUF)
    write_atomic(target / "Modelfile", text)


def modelfile(merged: Path) -> str:
    """With the chat template in Ollama's language, and every token that ends an answer.

    Raises TuneError when the template cannot be said in it: Ollama would ask the model otherwise than it was trained.
    """
    tokenizer = load_tokenizer(str(merged))
    config = read_json(merged / "generation_config.json") if (merged / "generation_config.json").exists() else {}
    form = find_format(tokenizer, config.get("eos_token_id"), name=merged.name)
    stops = dict.fromkeys(tokenizer.convert_ids_to_tokens(list(form.ends)))
    lines = [f"FROM ./{GGUF}", f'TEMPLATE """{_template(tokenizer)}"""']
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    return "\n".join([*lines, "PARAMETER temperature 0", ""])


def _template(tokenizer: Any) -> str:
    """What stands around each message, found by rendering chats; then checked on longer ones."""
    start = tokenizer.bos_token or ""
    try:
        around, opening = _around(tokenizer, start)
    except TemplateError as error:
        raise _unsayable(f"it refuses a plain chat: {error}") from error
    for roles in (["user"], ["system", "user"], ["user", "assistant", "user"], ["system", *["user", "assistant"] * 3]):
        if roles[0] == "system" and "system" not in around:
            continue
        turns = [{"role": role, "content": MARK.format(n)} for n, role in enumerate(roles)]
        last = roles[-1] == "user"
        wanted = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=last)
        made = "".join(around[one["role"]][0] + one["content"] + around[one["role"]][1] for one in turns)
        if made + (opening if last else "") != wanted.removeprefix(start):
            raise _unsayable("messages are set otherwise depending on what stands around them")
    if any(sign in text for pair in around.values() for text in pair for sign in ("{{", "}}", '"""')):
        raise _unsayable("it has signs that Ollama's templates use themselves")
    text = tokenizer.apply_chat_template([{"role": "user", "content": MARK}], tokenize=False)
    adds = tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]
    head = start if start and text.startswith(start) and not adds else ""
    # Without a place for it, a system message is put before the first message of the user.
    folded = "" if "system" in around else "{{ if and $.System (le $i 1) }}{{ $.System }}\n\n{{ end }}"
    parts = []
    for role, (before, after) in around.items():
        inner = f"{before}{folded if role == 'user' else ''}{{{{ $m.Content }}}}{after}"
        parts.append(f'{{{{ if eq $m.Role "{role}" }}}}{inner}{{{{ end }}}}')
    return f"{head}{{{{ range $i, $m := .Messages }}}}{''.join(parts)}{{{{ end }}}}{opening}"


def _around(tokenizer: Any, start: str) -> tuple[dict[str, tuple[str, str]], str]:
    """Before and after each role's message, and what opens the answer; without what begins every chat."""
    said, asked = MARK.format("said"), MARK.format("asked")
    user = {"role": "user", "content": asked}
    prompt, full = (text.removeprefix(start) for text in replied(tokenizer, [user], reply=said))
    plain = tokenizer.apply_chat_template([user], tokenize=False).removeprefix(start)
    if prompt.count(asked) != 1 or full.count(said) != 1 or not (prompt.startswith(plain) and full.startswith(plain)):
        raise _unsayable("a message does not stand in it once")
    before, _, after = plain.partition(asked)
    answer, _, end = full[len(plain) :].partition(said)
    around = {"user": (before, after), "assistant": (answer, end)}
    _, text = prompted(tokenizer, [{"role": "system", "content": said}, user])
    if f"{said}\n\n{asked}" not in text:
        head, _, tail = text.removeprefix(start).partition(said)
        around["system"] = (head, tail.partition(before + asked)[0])
    return around, prompt[len(plain) :]


def _unsayable(why: str) -> TuneError:
    return TuneError(
        f"the chat template cannot be said in Ollama's language: {why}",
        hint="export as gguf, and serve it with llama-server --jinja, which reads the model's own template",
    )
