#include "CDefaultModel.h"

// The files of the folder `model`, a diffusers pipeline folder, as constant data. A checkout without
// them builds a program without a model inside. SwiftPM rebuilds this file when one of them changes,
// but not when they appear for the first time: touch it then.

#if __has_embed("model/model_index.json") == __STDC_EMBED_FOUND__

#pragma clang diagnostic ignored "-Wc23-extensions"  // #embed, in the C17 that SwiftPM compiles

// One cache line and the widest vector register: weights are used where they lie. In a section of
// their own, since the linker makes .rodata writable where it holds a section of that kind.
#define MODEL_DATA \
  _Alignas(64) __attribute__((section("sparsedit_model"))) static const unsigned char

MODEL_DATA model_index[] = {
#embed "model/model_index.json"
};
MODEL_DATA words[] = {
#embed "model/words.json"
};
MODEL_DATA scheduler_config[] = {
#embed "model/scheduler/scheduler_config.json"
};
MODEL_DATA tokenizer_model[] = {
#embed "model/tokenizer/spiece.model"
};
MODEL_DATA text_encoder_config[] = {
#embed "model/text_encoder/config.json"
};
MODEL_DATA text_encoder_weights[] = {
#embed "model/text_encoder/model.safetensors"
};
MODEL_DATA transformer_config[] = {
#embed "model/transformer/config.json"
};
MODEL_DATA transformer_weights[] = {
#embed "model/transformer/diffusion_pytorch_model.safetensors"
};
MODEL_DATA vae_config[] = {
#embed "model/vae/config.json"
};
MODEL_DATA vae_weights[] = {
#embed "model/vae/diffusion_pytorch_model.safetensors"
};

#define ENTRY(path, data) {path, data, sizeof(data)}

static const embedded_model_entry entries[] = {
    ENTRY("model_index.json", model_index),
    ENTRY("words.json", words),
    ENTRY("scheduler/scheduler_config.json", scheduler_config),
    ENTRY("tokenizer/spiece.model", tokenizer_model),
    ENTRY("text_encoder/config.json", text_encoder_config),
    ENTRY("text_encoder/model.safetensors", text_encoder_weights),
    ENTRY("transformer/config.json", transformer_config),
    ENTRY("transformer/diffusion_pytorch_model.safetensors", transformer_weights),
    ENTRY("vae/config.json", vae_config),
    ENTRY("vae/diffusion_pytorch_model.safetensors", vae_weights),
};

size_t embedded_model_file_count(void) { return sizeof(entries) / sizeof(entries[0]); }

embedded_model_entry embedded_model_file(size_t index) { return entries[index]; }

#else

size_t embedded_model_file_count(void) { return 0; }

embedded_model_entry embedded_model_file(size_t index) {
  (void)index;
  return (embedded_model_entry){0};
}

#endif
