# Makes a tiny ViT, PEFT adapters with heads of every kind, and expected.json: what transformers' pipeline answers with them.
#
#     python make.py FOLDER ../../../../samples/images      (made with transformers 5.24 and PEFT 0.21)
import json
import os
import sys

import torch
from PIL import Image
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoImageProcessor, ViTConfig, ViTForImageClassification, ViTImageProcessor, pipeline

out, samples = sys.argv[1:]
os.makedirs(out, exist_ok=True)
images = ["signs/stop.png", "aerial/field.jpg"]

def pil():
    return AutoImageProcessor.from_pretrained(f"{out}/base", backend="pil")

def answers(model):
    model = model.float().eval()
    pipe = pipeline("image-classification", model=model, image_processor=pil(), device="cpu")
    result = []
    for name in images:
        found = pipe(Image.open(f"{samples}/{name}").convert("RGB"), top_k=100)
        order = [model.config.id2label[i] for i in range(model.config.num_labels)]
        scores = {a["label"]: a["score"] for a in found}
        result.append({label: scores[label] for label in order})
    return result

torch.manual_seed(7)
config = ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=16,
                   patch_size=8, num_labels=3, initializer_range=0.3,
                   id2label={0: "sea", 1: "sky", 2: "dog"}, label2id={"sea": 0, "sky": 1, "dog": 2})
model = ViTForImageClassification(config)
model.classifier.bias.data.normal_()
model = model.half()
model.save_pretrained(f"{out}/base")
ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(f"{out}/base")
expected = {}
for kind in [None, "single_label_classification", "multi_label_classification", "regression"]:
    m = ViTForImageClassification.from_pretrained(f"{out}/base", problem_type=kind)
    expected[f"base {kind}"] = answers(m)

def adapter(name, labels, kind, seed):
    torch.manual_seed(seed)
    base = ViTForImageClassification.from_pretrained(f"{out}/base", num_labels=len(labels), ignore_mismatched_sizes=True,
        id2label=dict(enumerate(labels)), label2id={l: i for i, l in enumerate(labels)}, problem_type=kind)
    p = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"]))
    for n, w in p.named_parameters():
        if "lora_" in n or "modules_to_save" in n:
            w.data.normal_(0, 0.4)
    p.half().save_pretrained(f"{out}/{name}")
    base = ViTForImageClassification.from_pretrained(f"{out}/base", num_labels=len(labels), ignore_mismatched_sizes=True,
        id2label=dict(enumerate(labels)), label2id={l: i for i, l in enumerate(labels)}, problem_type=kind)
    m = PeftModel.from_pretrained(base, f"{out}/{name}").merge_and_unload()
    expected[f"{name} {kind}"] = answers(m)
    with open(f"{out}/{name}/labels.json", "w") as file:
        json.dump({"id2label": {str(i): l for i, l in enumerate(labels)}}, file)

adapter("tags", ["car", "tree", "house", "cat"], "multi_label_classification", 11)
adapter("smile", ["smiling"], None, 12)
adapter("size", ["width", "height"], "regression", 13)
with open(f"{out}/expected.json", "w") as file:
    json.dump({"images": images, "answers": expected}, file, indent=1)
