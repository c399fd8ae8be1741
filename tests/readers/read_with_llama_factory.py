"""Run by the environment of LLaMA-Factory: its own parser reads a config, its own loader the data, and both are printed as JSON.

`python read_with_llama_factory.py CONFIG TOKENIZER OUT [KEY=VALUE …]`, in the run's folder. torchaudio is imported there for audio alone
and has no build for every CPU, so an empty module stands in for it where it is missing.
"""

import importlib.machinery
import importlib.util
import json
import sys
import types
from pathlib import Path

if importlib.util.find_spec("torchaudio") is None:
    stand_in = types.ModuleType("torchaudio")
    stand_in.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = stand_in

import yaml
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

config, tokenizer_folder, out, *changes = sys.argv[1:]
given = yaml.safe_load(Path(config).read_text(encoding="utf-8"))
given |= {
    "model_name_or_path": tokenizer_folder,
    "bf16": False,
    "use_cpu": True,
    "overwrite_cache": True,
}  # what a CPU without a model needs
given |= {key: yaml.safe_load(value) for key, value in (change.split("=", 1) for change in changes)}
model_args, data_args, training_args, _, _ = get_train_args(given)
loaded = load_tokenizer(model_args)
template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
stage = {"dpo": "rm"}.get(given["stage"], given["stage"])
made = get_dataset(template, model_args, data_args, training_args, stage=stage, **loaded)
found = {name: [dict(row) for row in made[name]] for name in ("train_dataset", "eval_dataset") if name in made}
Path(out).write_text(json.dumps(found), encoding="utf-8")
