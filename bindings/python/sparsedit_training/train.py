"""Trains and fine-tunes SparseDiT, dense or sparse; resumes from RUN/checkpoint.pt.

The default model, from latents of the training world:
    python -m sparsedit_training.train RUN --data LATENTS --tokenizer FOLDER --text FOLDER --minutes 90
    python -m sparsedit_training.train RUN … --minutes 12 --decay             the learning rate falls to zero
    python -m sparsedit_training.train SPARSE --dense RUN/checkpoint.pt …     dense → sparse, then fine-tuning
    python -m sparsedit_training.train SPARSE … --teacher RUN/checkpoint.pt   the fine-tuning learns from the dense one

A PixArt folder on your own pictures (captions in .txt files or metadata.jsonl):
    python -m sparsedit_training.train RUN --model FOLDER --images DIR --sparse --export OUT

The learning rate is flat until an invocation with --decay takes it down ("warm-up, stable, decay"), so a run can be
continued for as long as there is time. SIGTERM and Ctrl-C save and stop.
"""

import argparse
import json
import signal
import time
from pathlib import Path

import torch

from .config import SPARSITY
from .convert import take_trunk
from .data import FeatureFolder, LatentChunks
from .diffusion import Noise
from .export import load_safetensors, load_text_encoder, load_transformer
from .features import export_finetuned, prepare
from .half import HalfTwin
from .model import SparseDiT
from .objective import Teacher, losses
from .runs import Budget, Run, averaged_models
from .tokenizer import Tokenizer

# The default model: 8.7 M parameters on 256 tokens. Positions advance by a half, so that places in the picture have
# the coordinates that they had when a token stood for twice its side.
BACKBONE = dict(num_attention_heads=6, attention_head_dim=32, in_channels=16, out_channels=16, num_layers=14,
                sample_size=32, patch_size=2, interpolation_scale=2, caption_channels=128,
                use_additional_conditions=False)
CAPTION_TOKENS = 48  # no caption of the world is longer


def train(run: Run, data, options, budget: Budget):
    """Trains until the budget is spent; saves on the way and at the end."""
    noise, sparse = Noise.linear(run.device), run.backbone.config.sparse
    teacher = options.teacher and Teacher(options.teacher, run.encoder is not None, run.device, options.half)
    half = HalfTwin(run.backbone) if options.half else None
    run.net = half or run.backbone
    start_factor = run.factor or 1.0  # an interrupted decay goes on, a finished one starts again
    saved, sums, since, began = time.monotonic(), {}, 0, time.monotonic()
    while (progress := budget.progress()) < 1:
        batch = {k: v.to(run.device, non_blocking=True) for k, v in data.batch(options.batch).items()}
        quarter = int(torch.randint(4, ())) if sparse else None
        if half:
            half.load()
        with torch.autocast(run.device.type, torch.bfloat16, enabled=run.device.type == "cuda"):
            found = losses(run, batch, noise, quarter, options.prediction, options.object_weight, teacher)
        minimised = found["taught" if teacher else "loss"] + options.label_weight * found.get("labels", 0.0)
        minimised.backward()
        if half:
            half.collect()
        run.factor = start_factor * (1 - progress) if options.decay else 1.0
        run.optimizers.step(run.factor * min(1.0, (run.step + 1) / options.warmup))
        run.update_averages()
        run.step, run.images, budget.done = run.step + 1, run.images + options.batch, budget.done + 1
        sums, since = {name: sums.get(name, 0.0) + value.item() for name, value in found.items()}, since + 1
        if since == options.log_every:
            pace = since * options.batch / (time.monotonic() - began)
            log(options.run, step=run.step, images=run.images, pace=round(pace, 2), factor=round(run.factor, 4),
                **{name: round(total / since, 5) for name, total in sums.items()})
            sums, since, began = {}, 0, time.monotonic()
        if time.monotonic() - saved > options.save_minutes * 60:
            run.save()
            saved = time.monotonic()
    if options.decay and not budget.stopped:
        run.factor = 0.0
    run.save()


def log(folder: Path, **values):
    """Prints one line and appends it to log.jsonl."""
    print(" ".join(f"{k} {v}" for k, v in values.items()), flush=True)
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(values) + "\n")


def world_run(options):
    """The run and the data of the default model."""
    tokenizer = Tokenizer(options.tokenizer)
    data = LatentChunks(options.data, tokenizer, seed=int(time.time()), pad_to=CAPTION_TOKENS if options.half else None)
    if options.dense:
        backbone, encoder = averaged_models(options.dense, sparsity(options))
    elif options.start:
        backbone = load_transformer(options.start, sparsity(options) if options.sparse else None)
        encoder = load_text_encoder(options.text or options.start)
    else:
        torch.manual_seed(options.seed)
        backbone = SparseDiT(BACKBONE | (dict(sparsity=sparsity(options)) if options.sparse else {}))
        if options.trunk:
            new = take_trunk(backbone, load_safetensors(options.trunk / "transformer"))
            print(f"new weights: {', '.join(new)}", flush=True)
        encoder = load_text_encoder(options.text)
    labels = data.things + data.colours
    run = Run(options.run, backbone, encoder, labels, rate=options.rate, text_share=options.text_share,
              muon_share=options.muon_share)
    if options.dense:
        run.take_heads(options.dense)
    return run, data


def folder_run(options):
    """The run and the data of a PixArt folder fine-tuned on pictures with captions."""
    options.prediction = json.loads((options.model / "scheduler/scheduler_config.json").read_text()).get(
        "prediction_type", "epsilon")
    prepare(options.model, options.images, options.cache or options.run / "features", options.size)
    backbone = load_transformer(options.model, sparsity(options) if options.sparse else None)
    data = FeatureFolder(options.cache or options.run / "features", seed=int(time.time()))
    return Run(options.run, backbone, None, rate=options.rate, muon=False), data


def sparsity(options) -> dict:
    """The sparsity object of the command line: the default model's layout, the given one, or the given file."""
    return SPARSITY if options.sparsity is None else SPARSITY | json.loads(options.sparsity)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("run", type=Path, help="folder of the run: checkpoint.pt, log.jsonl")
    add("--data", type=Path, help="folder of latents (see latents.py)")
    add("--tokenizer", type=Path, help="folder with spiece.model")
    add("--text", type=Path, help="folder with text_encoder/, the encoder to start from (default: that of --start)")
    add("--dense", type=Path, help="checkpoint.pt of a dense run: convert its averaged weights, then fine-tune")
    add("--teacher", type=Path, help="learn the predictions of this trained model: checkpoint.pt or a pipeline folder")
    add("--trunk", type=Path, help="a pipeline folder: take over the blocks that fit, with any patches and channels")
    add("--start", type=Path, help="a pipeline folder of the default model: start from its weights")
    add("--model", type=Path, help="a PixArt pipeline folder to fine-tune")
    add("--images", type=Path, help="folder of pictures with captions")
    add("--cache", type=Path, help="where latents and text features are kept (default: RUN/features)")
    add("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="pixels; default: the model's own")
    add("--sparse", action="store_true", help="train the sparse form (implied by --dense)")
    add("--sparsity", help='JSON that changes the sparsity object, e.g. {"modules": 4, "module_layout": [1, 3, 1, 1]}')
    add("--export", type=Path, help="with --model: write the fine-tuned pipeline folder at the end")
    add("--steps", type=int, help="stop after this many steps of this invocation")
    add("--minutes", type=float, help="stop after this many minutes")
    add("--decay", action="store_true", help="over this invocation the learning rate falls to zero")
    add("--batch", type=int, default=32)
    add("--rate", type=float, default=1e-3, help="learning rate")
    add("--text-share", type=float, default=0.2, help="the text encoder's share of the learning rate")
    add("--muon-share", type=float, default=2.5, help="the block matrices' multiple of the learning rate")
    add("--warmup", type=int, default=200, help="steps")
    add("--label-weight", type=float, default=0.05)
    add("--object-weight", type=float, default=1.0, help="how much more places under a thing count")
    add("--prediction", default="v_prediction", choices=("v_prediction", "epsilon"))
    add("--half", action="store_true", help="work in bfloat16 on a CPU that has AMX, compiled")
    add("--save-minutes", type=float, default=2)
    add("--log-every", type=int, default=25)
    add("--seed", type=int, default=0)
    options = parser.parse_args()
    if (options.model is None) == (options.data is None):
        parser.error("give either --data (the training world) or --model with --images (a PixArt folder)")
    if options.model and not options.images:
        parser.error("--model needs --images")
    if options.data and not (options.tokenizer and (options.text or options.dense or options.start)):
        parser.error("--data needs --tokenizer, and one of --text, --dense and --start")
    return options


def main():
    options = arguments()
    run, data = (folder_run if options.model else world_run)(options)
    resumed = run.resume()
    count = sum(p.numel() for p in run.backbone.parameters())
    print(f"{'resumed at step ' + str(run.step) if resumed else 'new run'}: {count / 1e6:.2f} M parameters on "
          f"{run.device}", flush=True)
    budget = Budget(options.steps, options.minutes)

    def stop(*_):
        budget.stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    train(run, data, options, budget)
    if options.export and options.model:
        export_finetuned(options.model, run, options.export)


if __name__ == "__main__":
    main()
