"""``sparsedit.h`` in ctypes: structures, callbacks and signatures. Mirrors the header's order."""

from __future__ import annotations

import ctypes
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

ABI_VERSION = 1

OK = 0
CANCELLED = 7
BUSY = 8
INVALID_HANDLE = 10
IDLE = 11

PRECISIONS = {None: 0, "f32": 1, "bf16": 2}
SAMPLERS = {None: 0, "ddpm": 1, "ddim": 2, "dpm++2m": 3, "euler": 4}
TOKEN_SCHEDULES = {None: 0, "linear": 1, "quarters": 2, "constant": 3}
IMPORT_FORMATS: dict[str | None, int] = {"bf16": 0, "f32": 1, "f16": 2}
IMPORT_GENERATIONS = {None: 0, "alpha": 1, "sigma": 2}
SPARSITY_MODEL, SPARSITY_DENSE, SPARSITY_RATES, SPARSITY_TABLE, SPARSITY_CALLBACK = range(5)

LogCallback = CFUNCTYPE(None, c_char_p, c_void_p)


class PipelineOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("model_path", c_char_p),
        ("precision", c_int32),
        ("threads", c_int32),
        ("memory_limit", c_uint64),
        ("log", LogCallback),
        ("log_user_data", c_void_p),
    ]


class PipelineInfo(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("family", c_char_p),
        ("text_encoder_parameters", c_uint64),
        ("backbone_parameters", c_uint64),
        ("decoder_parameters", c_uint64),
        ("default_width", c_int32),
        ("default_height", c_int32),
        ("size_multiple", c_int32),
        ("default_steps", c_int32),
        ("max_steps", c_int32),
        ("max_count", c_int32),
        ("default_guidance_scale", c_double),
        ("max_prompt_tokens", c_int32),
        ("max_prompt_bytes", c_int32),
        ("class_count", c_int32),
        ("text_channels", c_int32),
        ("latent_channels", c_int32),
        ("output_channels", c_int32),
        ("guided_channels", c_int32),
        ("blocks", c_int32),
        ("latent_scale", c_int32),
        ("precision", c_int32),
        ("threads", c_int32),
        ("is_sparse", c_int32),
        ("rate_min", c_double),
        ("rate_max", c_double),
    ]


class Step(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("image", c_int32),
        ("images", c_int32),
        ("step", c_int32),
        ("steps", c_int32),
        ("tokens", c_int32),
        ("dense_tokens", c_int32),
        ("seconds", c_double),
        ("seconds_left", c_double),
    ]


class ImageView(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("width", c_int32),
        ("height", c_int32),
        ("stride", c_size_t),
        ("pixels", POINTER(c_uint8)),
        ("seed", c_uint64),
    ]


class TokenRow(Structure):
    _fields_ = [
        ("timestep", c_int32),
        ("height", c_int32),
        ("width", c_int32),
        ("rate", c_double),
    ]


TokenCallback = CFUNCTYPE(c_int32, POINTER(TokenRow), c_int32, c_int32, c_void_p)
StepCallback = CFUNCTYPE(c_int32, POINTER(Step), c_void_p)
PreviewCallback = CFUNCTYPE(None, POINTER(Step), POINTER(ImageView), c_void_p)


class GenerateOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("prompt", c_char_p),
        ("prompt_length", c_size_t),
        ("negative_prompt", c_char_p),
        ("negative_prompt_length", c_size_t),
        ("width", c_int32),
        ("height", c_int32),
        ("steps", c_int32),
        ("class_label", c_int32),
        ("guidance_scale", c_double),
        ("seed", c_uint64),
        ("count", c_int32),
        ("sampler", c_int32),
        ("eta", c_double),
        ("sparsity", c_int32),
        ("token_schedule", c_int32),
        ("rate_min", c_double),
        ("rate_max", c_double),
        ("token_rows", POINTER(TokenRow)),
        ("token_row_count", c_size_t),
        ("on_tokens", TokenCallback),
        ("on_tokens_user_data", c_void_p),
        ("on_step", StepCallback),
        ("on_step_user_data", c_void_p),
        ("on_preview", PreviewCallback),
        ("on_preview_user_data", c_void_p),
        ("no_clean_caption", c_int32),
        ("exact_size", c_int32),
    ]


class StageCost(Structure):
    _fields_ = [
        ("macs", c_double),
        ("weight_bytes", c_double),
        ("activation_bytes", c_double),
    ]


class Cost(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("macs_per_forward", c_double),
        ("macs_denoise", c_double),
        ("weight_bytes", c_uint64),
        ("peak_bytes", c_uint64),
        ("text_encoder", StageCost),
        ("text_keys_values", StageCost),
        ("denoise", StageCost),
        ("decode", StageCost),
    ]


class EstimateOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("backbone", c_char_p),
        ("model_path", c_char_p),
        ("precision", c_int32),
    ]


class DenoiseOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("latents", POINTER(c_float)),
        ("batch", c_int32),
        ("latent_height", c_int32),
        ("latent_width", c_int32),
        ("text_length", c_int32),
        ("timestep", c_double),
        ("embedding", POINTER(c_float)),
        ("mask", POINTER(c_int32)),
        ("class_labels", POINTER(c_int32)),
        ("sparsity", c_int32),
        ("token_schedule", c_int32),
        ("rate_min", c_double),
        ("rate_max", c_double),
        ("token_rows", POINTER(TokenRow)),
        ("token_row_count", c_size_t),
    ]


class SamplerOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("steps", c_int32),
        ("sampler", c_int32),
        ("eta", c_double),
        ("seed", c_uint64),
        ("drawn", c_size_t),
    ]


class SamplerInfo(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("name", c_char_p),
        ("steps", c_int32),
        ("uses_variance", c_int32),
        ("is_stochastic", c_int32),
        ("initial_noise_scale", c_double),
    ]


ImportCallback = CFUNCTYPE(c_int32, c_uint64, c_uint64, c_void_p)


class ImportOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("sources", POINTER(c_char_p)),
        ("source_count", c_size_t),
        ("folder", c_char_p),
        ("format", c_int32),
        ("generation", c_int32),
        ("variant", c_char_p),
        ("size", c_int32),
        ("heads", c_int32),
        ("sparse_grid", c_int32),
        ("on_progress", ImportCallback),
        ("on_progress_user_data", c_void_p),
    ]


_handle = c_void_p
_floats = POINTER(c_float)
_ints = POINTER(c_int32)
_size = POINTER(c_size_t)
_status = c_int32

#: Function name without ``sparsedit_``: result type, argument types.
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "version": (c_uint32,),
    "abi_version": (c_uint32,),
    "status_name": (c_char_p, c_int32),
    "pipeline_options_init": (_status, POINTER(PipelineOptions), c_size_t),
    "pipeline_create": (
        _status, POINTER(PipelineOptions), POINTER(_handle), ctypes.c_char_p, c_size_t
    ),
    "pipeline_destroy": (None, _handle),
    "pipeline_message": (c_size_t, _handle, c_char_p, c_size_t),
    "pipeline_cancel": (_status, _handle),
    "pipeline_get_info": (_status, _handle, POINTER(PipelineInfo)),
    "pipeline_find_class": (_status, _handle, c_char_p, c_size_t, _ints),
    "generate_options_init": (_status, POINTER(GenerateOptions), c_size_t),
    "generate": (_status, _handle, POINTER(GenerateOptions), POINTER(_handle)),
    "images_count": (c_size_t, _handle),
    "images_get_view": (_status, _handle, c_size_t, POINTER(ImageView)),
    "images_create": (
        _status, POINTER(ImageView), c_char_p, c_size_t, POINTER(_handle), c_char_p, c_size_t
    ),
    "images_parameters": (c_size_t, _handle, c_size_t, c_char_p, c_size_t),
    "images_encode_jpeg": (
        _status, _handle, c_size_t, c_int32, POINTER(POINTER(c_uint8)), _size
    ),
    "images_save_jpeg": (_status, _handle, c_size_t, c_int32, c_char_p),
    "images_message": (c_size_t, _handle, c_char_p, c_size_t),
    "images_destroy": (None, _handle),
    "free": (None, c_void_p),
    "pipeline_get_cost": (_status, _handle, POINTER(GenerateOptions), POINTER(Cost)),
    "pipeline_get_step_costs": (
        _status, _handle, POINTER(GenerateOptions), POINTER(StageCost), c_size_t, _size
    ),
    "estimate_options_init": (_status, POINTER(EstimateOptions), c_size_t),
    "estimate_cost": (
        _status, POINTER(EstimateOptions), POINTER(GenerateOptions), POINTER(Cost), c_char_p, c_size_t
    ),
    "estimate_step_costs": (
        _status, POINTER(EstimateOptions), POINTER(GenerateOptions), POINTER(StageCost), c_size_t,
        _size, c_char_p, c_size_t,
    ),
    "tokenize": (
        _status, _handle, c_char_p, c_size_t, c_int32, _ints, _ints, c_size_t, _size
    ),
    "encode_prompt": (
        _status, _handle, _ints, _ints, c_int32, c_int32, _floats, c_size_t, _size
    ),
    "noise": (
        _status, _handle, c_uint64, c_int32, c_int32, c_int32, _floats, c_size_t, _size
    ),
    "denoise_options_init": (_status, POINTER(DenoiseOptions), c_size_t),
    "denoise": (_status, _handle, POINTER(DenoiseOptions), _floats, c_size_t, _size),
    "sampler_options_init": (_status, POINTER(SamplerOptions), c_size_t),
    "sampler_create": (_status, _handle, POINTER(SamplerOptions), POINTER(_handle)),
    "sampler_get_info": (_status, _handle, POINTER(SamplerInfo)),
    "sampler_timestep": (c_double, _handle, c_int32),
    "sampler_scale_input": (_status, _handle, _floats, _floats, c_size_t),
    "sampler_step": (_status, _handle, _floats, c_size_t, _floats, c_size_t),
    "sampler_message": (c_size_t, _handle, c_char_p, c_size_t),
    "sampler_destroy": (None, _handle),
    "decode": (
        _status, _handle, _floats, c_int32, c_int32, c_int32, _floats, c_size_t, _size
    ),
    "import_options_init": (_status, POINTER(ImportOptions), c_size_t),
    "import_model": (_status, POINTER(ImportOptions), c_char_p, c_size_t),
}

#: Structures that the library fills in or reads, by their name in the header.
STRUCTURES: dict[str, type[Structure]] = {
    "sparsedit_pipeline_options": PipelineOptions,
    "sparsedit_pipeline_info": PipelineInfo,
    "sparsedit_step": Step,
    "sparsedit_image_view": ImageView,
    "sparsedit_token_row": TokenRow,
    "sparsedit_generate_options": GenerateOptions,
    "sparsedit_stage_cost": StageCost,
    "sparsedit_cost": Cost,
    "sparsedit_estimate_options": EstimateOptions,
    "sparsedit_denoise_options": DenoiseOptions,
    "sparsedit_sampler_options": SamplerOptions,
    "sparsedit_sampler_info": SamplerInfo,
    "sparsedit_import_options": ImportOptions,
}
