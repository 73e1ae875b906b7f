"""Small random PixArt pipelines and what diffusers and transformers compute with them.

Both the committed golden values (make_pixart_golden.py) and the live comparison
(../Parity/parity.py) are made from this file, so they cannot drift apart.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
)
from diffusers.utils import logging as diffusers_logging
from safetensors.numpy import save_file
from transformers import T5Config, T5EncoderModel, T5Tokenizer
from transformers.utils import logging as transformers_logging

# They would warn of truncated prompts and saved shards, which are intended here.
diffusers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Run:
    """One whole generation: image i of `count` starts from the noise of seed + i."""

    prompt: str
    width: int
    height: int
    steps: int = 4
    guidance_scale: float = 4.5
    negative_prompt: str = ""
    seed: int = 0
    count: int = 1
    #: Whether captions are cleaned and the size is one of the training's, as diffusers does by default.
    as_by_default: bool = False


@dataclass(frozen=True)
class Case:
    """What is special about one pipeline. Everything else is a tiny PixArt-alpha."""

    name: str
    seed: int
    # backbone
    heads: int = 3
    head_dim: int = 16
    layers: int = 3
    sample_size: int = 16
    patch: int = 2
    out_channels: int = 8
    interpolation_scale: float | None = None
    additional_conditions: bool | None = None
    # text
    text_width: int = 24
    text_heads: int = 3
    text_head_dim: int = 8
    text_layers: int = 2
    text_hidden: int = 40
    normalization: str = "identity"
    # autoencoder
    vae_channels: tuple[int, ...] = (4, 8, 8, 8)
    vae_groups: int = 2
    vae_layers: int = 1
    vae_mid_attention: bool = True
    scaling_factor: float = 0.18215
    # pipeline
    sigma: bool = False
    prediction: str = "epsilon"
    dtype: str = "f32"
    shard_bytes: int | None = None
    # what to compute
    text_prompts: tuple[int, ...] = (2, 21)  # indices in PROMPTS
    forwards: tuple[tuple[int, int, int, float], ...] = ((1, 16, 16, 999.0),)  # batch, h, w, t
    decodes: tuple[tuple[int, int, int], ...] = ((1, 6, 10),)  # batch, h, w
    runs: tuple[Run, ...] = field(default=())

    @property
    def max_length(self) -> int:
        return 300 if self.sigma else 120


# Captions to train the tiny vocabularies on: enough letters for prompts of several scripts.
CORPUS = """\
a red house under a full moon
a small boat on a calm blue lake, at sunrise
two yellow flowers left of a grey cat
three green trees above the river; snow on the mountain
the night sky with stars and a bright comet
a photo of an astronaut riding a horse on mars, 4k, highly detailed!
an old castle (made of stone) near the sea: waves, wind & rain
"good morning", said the fox to the hen. it's 7 o'clock?
oil painting of a village in winter - soft light / warm colours
ein großes haus am meer, über den wolken
une maison près de la forêt, été
красный дом под полной луной
маленькая лодка на озере
ένα κόκκινο σπίτι κάτω από το φεγγάρι
月光下的红房子
赤い家と満月 ネコ
달빛 아래 빨간 집
"""

# Prompts whose tokens are compared. They reach what captions in the wild do: case, control
# characters, exotic spaces, compatibility forms, combining marks, unknown letters, truncation.
PROMPTS = [
    "",
    " ",
    "a red house under a full moon",
    "  A Red HOUSE,\tunder a full\nmoon!  ",
    "a  boat   on a\t\tlake\r\nat\u00a0sunrise\u3000(calm)",
    'hello, world... "quotes" & \'apostrophes\' -- [brackets] {braces} <tag> 100% #1 $5 a/b\\c',
    "красный дом под полной луной",
    "ΈΝΑ ΚΌΚΚΙΝΟ ΣΠΊΤΙ ΚΆΤΩ ΑΠΌ ΤΟ ΦΕΓΓΆΡΙ",
    "月光下的红房子 と 満月",
    "달빛 아래 빨간 집",
    "بيت أحمر تحت القمر",
    "ein GROẞES Haus, Straße, ÜBER den Wolken",
    "İstanbul ve ılık ırmak",
    "cafe\u0301 and café, nai\u0308ve",
    "ﬁsh ① ㎏ ½ ＦＵＬＬ ｗｉｄｔｈ",
    "a cat 🐈 and a moon 🌕🌕",
    "zero\u200bwidth and soft\u00adhyphen and \u2028line",
    "\x1fcontrol\x01 characters\x7f",
    "▁under▁score _ __",
    "e",
    "?",
    "a photo of an astronaut riding a horse on mars, " * 12,
    "ab" * 400,
    "wait..... what?????!!!! aaaaaaa --------- (((((",
    "a </s> b <extra_id_0>, <pad>cat<unk> <extra_id_99> <extra_id_100>",
]


def train_tokenizer(normalization: str) -> bytes:
    """A unigram model with T5's ids: 0 pad, 1 end of sentence, 2 unknown, no beginning."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.lower().splitlines() * 40),
        model_writer=model,
        model_type="unigram",
        vocab_size=360,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name=normalization,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def randomize(module: torch.nn.Module, generator: torch.Generator, query_gain: float = 1.0):
    """Draws every weight, also those that start at zero or one, at a scale that keeps the
    activations near one: outputs then depend on every tensor."""
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith(("scale_shift_table", "relative_attention_bias.weight")):
            value = 0.5 * noise
        elif name.endswith("shared.weight"):
            value = noise
        elif parameter.ndim >= 2:
            value = noise / parameter[0].numel() ** 0.5
            if name.endswith(".q.weight"):
                value *= query_gain
        elif name.endswith("weight"):
            value = 1 + 0.2 * noise
        else:
            value = 0.1 * noise
        parameter.data.copy_(value)


def build(case: Case, folder: Path):
    """Makes the pipeline, saves it as a diffusers folder and returns it in f32 with the values
    that were saved (rounded to the case's dtype)."""
    generator = torch.Generator("cpu").manual_seed(case.seed)
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer" / "spiece.model").write_bytes(train_tokenizer(case.normalization))
    tokenizer = T5Tokenizer.from_pretrained(folder / "tokenizer")

    text_encoder = T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer) + 12,  # as in the real one: more rows than there are ids
            d_model=case.text_width,
            d_kv=case.text_head_dim,
            d_ff=case.text_hidden,
            num_layers=case.text_layers,
            num_heads=case.text_heads,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.1,
        )
    )
    transformer = PixArtTransformer2DModel(
        num_attention_heads=case.heads,
        attention_head_dim=case.head_dim,
        in_channels=4,
        out_channels=case.out_channels,
        num_layers=case.layers,
        cross_attention_dim=case.heads * case.head_dim,
        sample_size=case.sample_size,
        patch_size=case.patch,
        interpolation_scale=case.interpolation_scale,
        use_additional_conditions=case.additional_conditions,
        caption_channels=case.text_width,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(case.vae_channels),
        up_block_types=("UpDecoderBlock2D",) * len(case.vae_channels),
        block_out_channels=case.vae_channels,
        layers_per_block=case.vae_layers,
        latent_channels=4,
        norm_num_groups=case.vae_groups,
        sample_size=8 * case.sample_size,
        scaling_factor=case.scaling_factor,
        mid_block_add_attention=case.vae_mid_attention,
    )
    scheduler = DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_start=0.0001,
        beta_end=0.02,
        beta_schedule="linear",
        solver_order=2,
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
        lower_order_final=True,
        prediction_type=case.prediction,
    )
    for module in (text_encoder, transformer, vae):
        module.eval()
    randomize(text_encoder, generator, query_gain=case.text_head_dim**-0.5)
    randomize(transformer, generator)
    randomize(vae, generator)
    calibrate(vae, generator)

    kind = PixArtSigmaPipeline if case.sigma else PixArtAlphaPipeline
    pipeline = kind(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=vae,
        transformer=transformer,
        scheduler=scheduler,
    )
    pipeline.set_progress_bar_config(disable=True)
    for module in (text_encoder, transformer, vae):
        module.to(dtype=DTYPES[case.dtype])
    shards = {} if case.shard_bytes is None else {"max_shard_size": case.shard_bytes}
    pipeline.save_pretrained(folder, safe_serialization=True, **shards)
    # The engine reads spiece.model alone; the JSON twin would only double the size.
    (folder / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)
    for module in (text_encoder, transformer, vae):
        module.to(dtype=torch.float32)
    return pipeline


@torch.no_grad()
def calibrate(vae: AutoencoderKL, generator: torch.Generator):
    """Scales the last convolution so that pictures use the range without clipping much."""
    image = vae.decode(torch.randn(1, 4, 12, 16, generator=generator)).sample
    vae.decoder.conv_out.weight.data *= 0.4 / image.std()
    vae.decoder.conv_out.bias.data = 0.1 * torch.randn(3, generator=generator)


@torch.no_grad()
def stages(case: Case, pipeline) -> tuple[dict, dict[str, np.ndarray]]:
    """Everything that is compared: a description (JSON) and the tensors it names."""
    generator = torch.Generator("cpu").manual_seed(case.seed + 1)
    runs = [settings(run) for run in case.runs]
    described: dict = {"case": asdict(case) | {"runs": runs}, "max_length": case.max_length}
    tensors: dict[str, np.ndarray] = {}

    described["tokens"] = [tokenize(pipeline, prompt, case.max_length) for prompt in PROMPTS]

    texts = [tokenize(pipeline, PROMPTS[i], case.max_length) for i in case.text_prompts]
    ids, mask = batch_of(texts, case.max_length)
    embedding = pipeline.text_encoder(ids, attention_mask=mask)[0]
    described["text"] = texts
    tensors["text.embedding"] = embedding.numpy()

    described["forward"] = []
    for index, (batch, height, width, timestep) in enumerate(case.forwards):
        latents = torch.randn(batch, 4, height, width, generator=generator)
        rows = [i % len(texts) for i in range(batch)]
        output = forward(pipeline.transformer, latents, timestep, embedding[rows], mask[rows])
        described["forward"].append({"timestep": timestep, "text_rows": rows})
        tensors[f"forward.{index}.latents"] = latents.numpy()
        tensors[f"forward.{index}.output"] = output.numpy()

    described["decode"] = len(case.decodes)
    for index, (batch, height, width) in enumerate(case.decodes):
        latents = torch.randn(batch, 4, height, width, generator=generator) * case.scaling_factor
        tensors[f"decode.{index}.latents"] = latents.numpy()
        tensors[f"decode.{index}.image"] = decode(pipeline, latents).numpy()

    described["runs"] = []
    for index, run in enumerate(case.runs):
        latents = generate(pipeline, run)
        image = decode(pipeline, latents)
        described["runs"].append(settings(run))
        if run.as_by_default:
            image = pipeline.image_processor.resize_and_crop_tensor(image, run.width, run.height)
        tensors[f"run.{index}.latents"] = latents.numpy()
        tensors[f"run.{index}.pixels"] = pixels(pipeline, image)
    return described, tensors


def settings(run: Run) -> dict:
    """A run for the reader of golden.json, who finds `as_by_default` only where it holds."""
    described = asdict(run)
    if not run.as_by_default:
        del described["as_by_default"]
    return described


def tokenize(pipeline, prompt: str, max_length: int) -> dict:
    """The ids that are not padding; the mask is 1 for exactly these."""
    text = pipeline._text_preprocessing(prompt, clean_caption=False)
    encoded = pipeline.tokenizer(
        text, padding="max_length", max_length=max_length, truncation=True,
        add_special_tokens=True, return_tensors="np",
    )
    ids, mask = encoded.input_ids[0], encoded.attention_mask[0]
    count = int(mask.sum())
    assert mask[:count].all() and (ids[count:] == 0).all()
    return {"prompt": prompt, "ids": [int(i) for i in ids[:count]]}


def batch_of(texts: list[dict], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, both [len(texts), length], padded with id 0."""
    rows = [text["ids"] for text in texts]
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    return ids, mask


def size_conditions(latents: torch.Tensor) -> dict[str, torch.Tensor]:
    """Height and width in pixels [B, 2] and their ratio [B, 1], as diffusers' pipeline has them."""
    batch, _, height, width = latents.shape
    return {
        "resolution": torch.tensor([[8.0 * height, 8.0 * width]]).repeat(batch, 1),
        "aspect_ratio": torch.tensor([[height / width]]).repeat(batch, 1),
    }


def forward(transformer, latents, timestep: float, text, mask) -> torch.Tensor:
    """One forward of the backbone, the variance channels included."""
    conditions = {"resolution": None, "aspect_ratio": None}
    if transformer.use_additional_conditions:
        conditions = size_conditions(latents)
    return transformer(
        latents,
        encoder_hidden_states=text,
        encoder_attention_mask=mask,
        timestep=torch.full((len(latents),), timestep),
        added_cond_kwargs=conditions,
    ).sample


def generate(pipeline, run: Run, **settings) -> torch.Tensor:
    """The sampler's final latents, from diffusers' own loop; `settings` are more of its arguments."""
    generators = [
        torch.Generator("cpu").manual_seed(run.seed + i) for i in range(run.count)
    ]
    return pipeline(
        prompt=run.prompt,
        negative_prompt=run.negative_prompt,
        width=run.width,
        height=run.height,
        num_inference_steps=run.steps,
        guidance_scale=run.guidance_scale,
        num_images_per_prompt=run.count,
        generator=generators,
        clean_caption=run.as_by_default,
        use_resolution_binning=run.as_by_default,
        output_type="latent",
        **settings,
    ).images


def decode(pipeline, latents: torch.Tensor) -> torch.Tensor:
    """Latents as the sampler leaves them -> [B, 3, 8h, 8w] in about [-1, 1]."""
    return pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample


def pixels(pipeline, image: torch.Tensor) -> np.ndarray:
    """[B, H, W, 3] u8, rounded as diffusers rounds for PIL."""
    array = pipeline.image_processor.postprocess(image, output_type="np")
    return (array * 255).round().astype("uint8")


def write_folders(root: Path, prefix: str, cases: list, build, stages):
    """Builds the cases whose names the command line gives, or all, each as a folder of `root` with
    what `stages` says of it."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    wanted = set(sys.argv[1:])
    for case in cases:
        if wanted and case.name not in wanted:
            continue
        folder = root / f"{prefix}-{case.name}"
        shutil.rmtree(folder, ignore_errors=True)
        save(folder, *stages(case, build(case, folder)))
        print_size(folder)


def print_size(folder: Path):
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"{folder.name}: {size / 1e3:.0f} kB")


def save(folder: Path, described: dict, tensors: dict[str, np.ndarray]):
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    save_file(tensors, folder / "golden.safetensors")
    text = json.dumps(described, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    (folder / "golden.json").write_text(text + "\n", encoding="utf-8")
