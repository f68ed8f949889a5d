#!/usr/bin/env python3
"""Writes Cases/FAMILY: tiny models of each family with random weights, and what their libraries make of them.

    python3 Tests/VisionTransformersTests/make_cases.py        needs: torch transformers peft timm pillow safetensors

config.json, model.safetensors, preprocessor_config.json   the model as its library saves it
io.safetensors      pixel_values (3, 3, H, W) of noise; hidden and, with a head, logits; the same under photo. for
                    samples/images/flowers/dandelion.jpg by the model's own preprocessing
adapter/            a PEFT adapter over it, and in io.safetensors what it makes of both: adapter.logits,
                    photo.adapter.logits
The older cases (vit, vit_*, deit*, dinov2, dinov2_swiglu) are not written again.
"""
import copy, json, os, shutil
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np, torch, timm, transformers as T
from peft import LoraConfig, get_peft_model
from PIL import Image, ImageOps
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
PHOTO = os.path.join(HERE, "../../samples/images/flowers/dandelion.jpg")
CLASSES, SIDE = 5, 32
K = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIDE,
         patch_size=8)
TEXT = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=64,
            max_position_embeddings=16)
N = dict(num_labels=CLASSES)
HALF, IMAGENET = [.5] * 3, dict(image_mean=[.485, .456, .406], image_std=[.229, .224, .225])
SIZE = {"height": SIDE, "width": SIDE}
VIT = dict(do_normalize=True, do_rescale=True, do_resize=True, image_mean=HALF, image_std=HALF,
           image_processor_type="ViTImageProcessor", resample=2, size=SIZE)
BIT = dict(VIT, image_processor_type="BitImageProcessor", resample=3, size={"shortest_edge": 36}, crop_size=SIZE,
           do_center_crop=True, **IMAGENET)
CLIP = dict(VIT, image_processor_type="CLIPImageProcessor", resample=3, size={"shortest_edge": SIDE}, crop_size=SIZE,
            do_center_crop=True, image_mean=[.48145466, .4578275, .40821073],
            image_std=[.26862954, .26130258, .27577711])
SIGLIP = dict(VIT, image_processor_type="SiglipImageProcessor", resample=3)
BEIT = dict(VIT, image_processor_type="BeitImageProcessor", resample=3, do_center_crop=False)
CONVNEXT = dict(VIT, image_processor_type="ConvNextImageProcessor", resample=3, size={"shortest_edge": SIDE},
                crop_pct=.875)
DINOV3 = dict(VIT, image_processor_type="DINOv3ViTImageProcessorFast", **IMAGENET)
seed = [1000]


def randomize(model, names=None):
    seed[0] += 1
    g = torch.Generator().manual_seed(seed[0])
    with torch.no_grad():
        for name, p in model.named_parameters():
            if names and (not any(k in name for k in names) or "original_module" in name):
                continue
            x = torch.randn(p.shape, generator=g) * (.24 if names else .12)
            low = name.lower()
            if ("norm" in low or "layrnorm" in low) and name.endswith("weight"):
                x = 1 + x
            if "lambda" in low or "layer_scale" in low or "gamma" in low:
                x = .5 + x
            p.copy_(x)
    return model.eval()


def pixels(folder):
    try:
        processor = T.AutoImageProcessor.from_pretrained(folder, backend="pil")
    except Exception:
        processor = T.AutoImageProcessor.from_pretrained(folder)
    photo = ImageOps.exif_transpose(Image.open(PHOTO)).convert("RGB")
    return processor(images=photo, return_tensors="pt")["pixel_values"]


def case(name, model, settings=None, targets=("q_proj", "v_proj"), head="classifier", save=None, run=None,
         adapted=True):
    folder = f"{HERE}/Cases/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    randomize(model)
    (save or (lambda model, folder: model.save_pretrained(folder)))(model, folder)
    if settings:
        json.dump(settings, open(f"{folder}/preprocessor_config.json", "w"), indent=2)
    noise = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    has_adapter, adapted = adapted and head, None
    if has_adapter:
        adapted = get_peft_model(copy.deepcopy(model), LoraConfig(
            r=4, lora_alpha=8, target_modules=targets if isinstance(targets, str) else list(targets),
            modules_to_save=[head]))
        randomize(adapted, ("lora_", "modules_to_save"))
        # PEFT would write the folder that the model was loaded from.
        adapted.peft_config["default"].base_model_name_or_path = None
        adapted.save_pretrained(f"{folder}/adapter")
        os.path.exists(f"{folder}/adapter/README.md") and os.remove(f"{folder}/adapter/README.md")
    io = {}
    with torch.no_grad():
        for prefix, x in (("", noise), ("photo.", pixels(folder))):
            io[f"{prefix}pixel_values"] = x
            out = (run or (lambda model, x: model(pixel_values=x, output_hidden_states=True)))(model, x)
            if getattr(out, "logits", None) is not None:
                io[f"{prefix}logits"] = out.logits
            if getattr(out, "last_hidden_state", None) is not None:
                io[f"{prefix}hidden"] = out.last_hidden_state
            if adapted is not None:
                io[f"{prefix}adapter.logits"] = adapted(pixel_values=x).logits
    save_file({k: v.detach().contiguous().float() for k, v in io.items()}, f"{folder}/io.safetensors")
    print(name, {k: tuple(v.shape) for k, v in io.items()}, sum(
        os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(folder) for f in files) // 1024, "KiB")


D2 = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=40, patch_size=8, **N)
case("dinov2_registers", T.Dinov2WithRegistersForImageClassification(T.Dinov2WithRegistersConfig(
    **D2, num_register_tokens=4)), BIT)
case("dinov2_registers_gated", T.Dinov2WithRegistersForImageClassification(T.Dinov2WithRegistersConfig(
    **D2, num_register_tokens=2, use_swiglu_ffn=True)), BIT)
case("dinov3", T.DINOv3ViTModel(T.DINOv3ViTConfig(**K, num_register_tokens=4)), DINOV3, head=None)
case("dinov3_gated", T.DINOv3ViTModel(T.DINOv3ViTConfig(
    **K, num_register_tokens=1, use_gated_mlp=True, hidden_act="silu", key_bias=True)), DINOV3, head=None)
case("siglip", T.SiglipForImageClassification(T.SiglipConfig(text_config=TEXT, vision_config=K, **N)), SIGLIP,
     targets="all-linear")
case("siglip_vision", T.SiglipVisionModel(T.SiglipVisionConfig(**K)), SIGLIP, head=None)
case("clip", T.CLIPForImageClassification(T.CLIPConfig(text_config=TEXT, vision_config=K, **N)), CLIP)
case("clip_vision", T.CLIPVisionModel(T.CLIPVisionConfig(**K)), CLIP, head=None)
case("metaclip_2", T.MetaClip2ForImageClassification(T.MetaClip2Config(text_config=TEXT, vision_config=K, **N)), CLIP)
case("vit_mae", T.ViTMAEModel(T.ViTMAEConfig(**K, mask_ratio=0.0)), CONVNEXT, head=None,
     run=lambda model, x: model(pixel_values=x, noise=torch.arange(16.).repeat(len(x), 1)))
case("vit_msn", T.ViTMSNForImageClassification(T.ViTMSNConfig(**K, **N)), VIT)
case("ijepa", T.IJepaForImageClassification(T.IJepaConfig(**K, **N)), VIT)
case("beit", T.BeitForImageClassification(T.BeitConfig(**K, use_relative_position_bias=True, **N)), BEIT)
case("beit_cls", T.BeitForImageClassification(T.BeitConfig(
    **K, use_relative_position_bias=True, use_mean_pooling=False, layer_scale_init_value=0.0, **N)), BEIT)
case("dit", T.BeitForImageClassification(T.BeitConfig(**K, use_absolute_position_embeddings=True, **N)), BEIT)
case("data2vec", T.Data2VecVisionForImageClassification(T.Data2VecVisionConfig(
    **K, use_relative_position_bias=True, **N)), BEIT, targets=("query", "value"))


def timm_case(name, architecture, patch=8, heads=2, adapted=True, **settings):
    arguments = dict(img_size=SIDE, patch_size=patch, embed_dim=32, depth=2, num_heads=heads)
    config = {"architecture": architecture, "num_classes": CLASSES, "num_features": 32, "model_args": arguments,
              "pretrained_cfg": dict({"tag": "x", "input_size": [3, SIDE, SIDE], "interpolation": "bicubic",
                                      "crop_pct": .9, "crop_mode": "center", "mean": HALF, "std": HALF,
                                      "num_classes": CLASSES, "first_conv": "patch_embed.proj",
                                      "classifier": "head"}, **settings)}
    model = timm.create_model(architecture, num_classes=CLASSES, **arguments)
    config["global_pool"] = model.global_pool
    folder = f"{HERE}/Cases/_timm"
    os.makedirs(folder, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, f"{folder}/model.safetensors",
              {"format": "pt"})
    json.dump(config, open(f"{folder}/config.json", "w"), indent=1)
    wrapped = T.AutoModelForImageClassification.from_pretrained(folder, num_labels=CLASSES)
    shutil.rmtree(folder)

    def save(model, folder):
        save_file({k: v.contiguous() for k, v in model.timm_model.state_dict().items()},
                  f"{folder}/model.safetensors", {"format": "pt"})
        json.dump(config, open(f"{folder}/config.json", "w"), indent=2)

    def run(model, x):
        out = model(pixel_values=x)
        out.last_hidden_state = model.timm_model.forward_features(x)
        return out

    case(f"timm_{name}", wrapped, targets=("qkv",), head="head", save=save, run=run, adapted=adapted)


timm_case("augreg", "vit_tiny_patch16_224")
timm_case("deit_distilled", "deit_tiny_distilled_patch16_224")
timm_case("deit3", "deit3_small_patch16_224", crop_pct=1.0)
timm_case("clip", "vit_base_patch32_clip_quickgelu_224")
timm_case("siglip_gap", "vit_base_patch16_siglip_gap_224", crop_mode="squash")
timm_case("dinov2", "vit_small_patch14_dinov2")
timm_case("dinov2_registers", "vit_small_patch14_reg4_dinov2")
timm_case("dinov3", "vit_small_patch16_dinov3")
# Where biases are apart, timm passes by PEFT's layers, and an adapter changes nothing.
timm_case("dinov3_biases", "vit_small_patch16_dinov3_qkvb", adapted=False)
timm_case("eva_large", "eva_large_patch14_196")
timm_case("registers_gap", "vit_medium_patch16_reg4_gap_256", interpolation="bilinear")
