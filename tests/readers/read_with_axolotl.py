"""Run by the environment of Axolotl: its own schema checks a config, its own strategies tokenise the data, and what they make is written
as JSON.

`python read_with_axolotl.py CONFIG TOKENIZER OUT`, in the run's folder.
"""

import json
import sys
from pathlib import Path

import yaml
from axolotl.prompt_strategies.chat_template import load
from axolotl.prompt_strategies.dpo.chat_template import default
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.config import AxolotlInputConfig
from datasets import load_dataset
from transformers import AutoTokenizer

config, tokenizer_folder, out = sys.argv[1:]
given = yaml.safe_load(Path(config).read_text(encoding="utf-8"))
given["base_model"] = tokenizer_folder
checked = AxolotlInputConfig(**given).model_dump(exclude_none=True)
settings = DictDefault({**checked, "datasets": given["datasets"]})
tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
found = {"unknown": sorted(set(given) - set(AxolotlInputConfig.model_fields))}
for name in ("datasets", "test_datasets"):
    for source in given.get(name, []):
        rows = load_dataset(source["ds_type"], data_files=source["path"], split=source["split"])
        if given.get("rl") == "dpo":
            transform, _ = default(settings, tokenizer=tokenizer)
            found[name] = [transform(row, tokenizer=tokenizer) for row in rows]
        else:
            strategy = load(tokenizer, settings, ds_cfg=source)
            found[name] = [{key: list(value) for key, value in strategy.tokenize_prompt(row).items()} for row in rows]
Path(out).write_text(json.dumps(found), encoding="utf-8")
