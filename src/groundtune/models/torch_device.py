"""Choose the device that torch computes on, and say what it is fast at. Imports torch only when asked."""

import os

from groundtune.errors import MissingError, need


def choose_device(wanted: str | None) -> str:
    """Return cpu or cuda. Raises MissingError."""
    if wanted == "cpu":
        return "cpu"
    cuda = need("torch", extra="local").cuda
    if cuda.is_available():
        return "cuda"
    if wanted:
        raise MissingError(
            f"torch cannot find the device {wanted!r}", hint='set device = "cpu", or install a torch built for CUDA'
        )
    return "cpu"


def hide_other_gpus(wanted: str | None) -> None:
    """Make only one GPU visible, because the trainer uses every GPU it sees. Call before torch looks for GPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted == "cpu" or visible == "":
        return
    numbers = visible.split(",") if visible else None
    number = (wanted or "").partition(":")[2] or "0"
    if numbers is None:
        os.environ["CUDA_VISIBLE_DEVICES"] = number
    elif number.isdigit() and int(number) < len(numbers):
        os.environ["CUDA_VISIBLE_DEVICES"] = numbers[int(number)]
    else:
        raise MissingError(f"torch cannot find the device {wanted!r}", hint='set device = "cuda"')


def has_fast_bfloat16(device: str = "cpu") -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware; on a CPU that takes AMX or AVX512-BF16."""
    torch = need("torch", extra="local")
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, check, bool)()) for check in checks)
