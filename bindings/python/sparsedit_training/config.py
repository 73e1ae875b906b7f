"""The backbone's configuration: diffusers' PixArtTransformer2DModel keys plus `sparsity`."""

from dataclasses import dataclass, field, fields

from .schedule import TokenSchedule

SPARSITY_DEFAULTS = {
    "poolingformer": 2,
    "modules": 4,
    "module_layout": [1, 3, 1, 1],
    "top": 2,
    "rates": [0.61, 0.86],
    "schedule": "linear",
    "position_embedding_again": False,
}

# The sparsity of the default model, which has half as many blocks as the models of the paper.
SPARSITY = dict(poolingformer=2, modules=2, module_layout=[1, 2, 1, 1], top=2, rates=[0.61, 0.86],
                schedule="quarters", position_embedding_again=False)

# Keys of diffusers' configuration that change nothing here, or only have one supported value.
_FIXED = {"norm_type": "ada_norm_single", "activation_fn": "gelu-approximate", "attention_type": "default",
          "norm_elementwise_affine": False, "norm_eps": 1e-6}


@dataclass(frozen=True)
class BackboneConfig:
    """What shapes the backbone. Field names are those of transformer/config.json; None means diffusers' rule."""

    num_attention_heads: int = 16
    attention_head_dim: int = 72
    in_channels: int = 4
    out_channels: int | None = 8
    num_layers: int = 28
    cross_attention_dim: int | None = None
    attention_bias: bool = True
    sample_size: int = 128
    patch_size: int = 2
    interpolation_scale: float | None = None
    use_additional_conditions: bool | None = None
    caption_channels: int | None = None
    sparsity: dict | None = field(default=None)

    @classmethod
    def of(cls, values) -> "BackboneConfig":
        """From a BackboneConfig (returned as it is) or the dictionary of a config.json (unknown keys ignored,
        settings that this module does not implement refused)."""
        if isinstance(values, cls):
            return values
        for key, only in _FIXED.items():
            if values.get(key, only) != only:
                raise ValueError(f"{key} = {values[key]!r} is not supported (only {only!r})")
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    def __post_init__(self):
        def default(name, value):
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

        default("out_channels", self.in_channels)
        default("cross_attention_dim", self.width)
        default("interpolation_scale", max(self.sample_size // 64, 1))
        default("use_additional_conditions", self.sample_size == 128)
        if self.sparsity is not None:
            unknown = set(self.sparsity) - set(SPARSITY_DEFAULTS)
            if unknown:
                raise ValueError(f"unknown sparsity keys: {', '.join(sorted(unknown))}")
            object.__setattr__(self, "sparsity", {**SPARSITY_DEFAULTS, **self.sparsity})
        self.roles()

    @property
    def width(self) -> int:
        """D, the token width."""
        return self.num_attention_heads * self.attention_head_dim

    @property
    def sparse(self) -> bool:
        return self.sparsity is not None

    @property
    def position_embedding_again(self) -> bool:
        return self.sparse and self.sparsity["position_embedding_again"]

    @property
    def schedule(self) -> TokenSchedule:
        """The token schedule of a sparse model."""
        return TokenSchedule(*self.sparsity["rates"], self.sparsity["schedule"])

    def roles(self) -> list[str]:
        """The role of each block in depth order (see model.Block)."""
        if not self.sparse:
            return ["dense"] * self.num_layers
        s = self.sparsity
        generate, sparse, recover, dense = s["module_layout"]
        if generate != 1 or recover != 1:
            raise ValueError(f"module_layout {s['module_layout']}: the first and third entries must be 1")
        module = ["generate"] + ["sparse"] * sparse + ["recover"] + ["dense"] * dense
        roles = ["pooling"] * s["poolingformer"] + module * s["modules"] + ["dense"] * s["top"]
        if len(roles) != self.num_layers:
            raise ValueError(f"the sparsity layout has {len(roles)} blocks, num_layers is {self.num_layers}")
        return roles

    def to_dict(self) -> dict:
        """The content of transformer/config.json, loadable by diffusers (which ignores `sparsity`)."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "sparsity"}
        values |= {**_FIXED, "_class_name": "PixArtTransformer2DModel", "num_embeds_ada_norm": 1000}
        if self.sparse:
            values["sparsity"] = self.sparsity
        return values
