"""The record of a fine-tuning: what converting to SparseDiT cost, and what fine-tuning won back.

    python -m sparsedit_training.record DENSE_RUN SPARSE_RUN --data LATENTS --tokenizer FOLDER --output FOLDER \\
        --verdicts dense=DIR --verdicts start=DIR --verdicts sparse=DIR

LATENTS holds scenes that neither run has seen (`latents.py --seed 2 --chunks 1`). Each DIR is an output of
`evaluate.py`. OUTPUT gets record.json, record.md (the table) and losses.svg (the curves of both runs' log.jsonl).
"""

import argparse
import json
from pathlib import Path

import torch

from .config import SPARSITY
from .data import LatentChunks
from .diffusion import Noise
from .objective import draw_timesteps
from .runs import CHECKPOINT, averaged_models
from .tokenizer import Tokenizer

QUARTERS = 4  # of the timesteps, each with its own rate in training
MODELS = {"dense": "dense", "start": "SparseDiT, converted only", "sparse": "SparseDiT, fine-tuned"}
QUESTIONS = {"object_colour": "thing and colour", "each_object": "each object", "count": "count",
             "relation": "left, right, above, below", "time": "time of day"}


def curve(run: Path) -> tuple[list[int], list[float]]:
    """Pictures seen and training loss of a run's log. A run that went back to an earlier checkpoint has lines
    that later ones took the place of: they are left out."""
    kept = []
    for line in map(json.loads, (run / "log.jsonl").read_text().splitlines()):
        while kept and kept[-1]["images"] >= line["images"]:
            kept.pop()
        kept.append(line)
    return [line["images"] for line in kept], [line["loss"] for line in kept]


@torch.no_grad()
def unseen_loss(backbone, encoder, batches: list[dict]) -> list[float]:
    """The diffusion loss (v, min-SNR weights, every place alike) in each quarter of the timesteps. Noise and
    timesteps are the same at every call, so that models can be compared."""
    torch.manual_seed(0)
    noise, found = Noise.linear(), []
    for quarter in range(QUARTERS):
        rate = backbone.config.schedule.quarter_rate(quarter) if backbone.config.sparse else None
        total = 0.0
        for batch in batches:
            x = batch["latents"]
            t, e = draw_timesteps(len(x), quarter), torch.randn_like(x)
            said = backbone(noise.add(x, e, t), t, encoder(batch["ids"], batch["mask"]), batch["mask"], rate=rate)
            error = (said - noise.target(x, e, t, "v_prediction")).square().mean(dim=(1, 2, 3))
            total += (noise.weight(t, "v_prediction") * error).mean().item()
        found.append(total / len(batches))
    return found


def table(losses: dict[str, list[float]], verdicts: dict[str, dict]) -> str:
    """One row per model in Markdown: losses by quarter, from little noise to pure noise, then the judge's figures."""
    head = ["", *(f"loss, quarter {k + 1}" for k in range(QUARTERS)), "mean", *QUESTIONS.values()]
    rows = [head, ["---"] * len(head)]
    for key, name in MODELS.items():
        values = losses[key]
        figures = [f"{verdicts[key][question]:.1f} %" if key in verdicts else "" for question in QUESTIONS]
        rows.append([name, *(f"{v:.4f}" for v in values), f"{sum(values) / len(values):.4f}", *figures])
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def draw_curves(dense: Path, sparse: Path, path: Path):
    """Both runs' training losses over the pictures seen; the sparse run goes on where the dense one ended."""
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    images, loss = curve(dense)
    axes.plot([i / 1000 for i in images], loss, label="dense")
    more, sparse_loss = curve(sparse)
    axes.plot([(images[-1] + i) / 1000 for i in more], sparse_loss, label="SparseDiT, fine-tuning")
    axes.set(xlabel="thousand pictures seen", ylabel="training loss", yscale="log")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dense", type=Path, help="folder of the dense run")
    parser.add_argument("sparse", type=Path, help="folder of the sparse run that started from it")
    parser.add_argument("--data", type=Path, required=True, help="latents of unseen scenes")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--batches", type=int, default=16, help="of 32 scenes, per quarter")
    parser.add_argument("--verdicts", action="append", default=[], metavar="MODEL=DIR",
                        help=f"the judge's figures of a model: {', '.join(MODELS)}")
    options = parser.parse_args()
    verdicts = dict(item.split("=", 1) for item in options.verdicts)
    if unknown := verdicts.keys() - MODELS.keys():
        parser.error(f"--verdicts {unknown.pop()}=…: the models are {', '.join(MODELS)}")
    verdicts = {key: json.loads((Path(folder) / "verdicts.json").read_text())["summary"]
                for key, folder in verdicts.items()}
    data = LatentChunks(options.data, Tokenizer(options.tokenizer), empty=0, bare=0, seed=0)
    batches = [data.batch(32) for _ in range(options.batches)]
    dense, sparse = (run / CHECKPOINT for run in (options.dense, options.sparse))
    sources = {"dense": (dense, None), "start": (dense, SPARSITY), "sparse": (sparse, None)}
    losses = {key: unseen_loss(*averaged_models(*source), batches) for key, source in sources.items()}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "record.json").write_text(json.dumps({"losses": losses, "judge": verdicts}, indent=1) + "\n")
    (options.output / "record.md").write_text(table(losses, verdicts))
    draw_curves(options.dense, options.sparse, options.output / "losses.svg")
    print(table(losses, verdicts), end="")


if __name__ == "__main__":
    main()
