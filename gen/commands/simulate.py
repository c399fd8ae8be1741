"""`sluice simulate`: the simulator over HTTP."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gen.errors import InputError, RecipeError
from gen.simulator.options import SimulatorOptions, from_mapping
from gen.simulator.server import serve


def command(
    host: Annotated[str, typer.Option(help="Where to listen. Anything but this machine needs --key-env.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8900,
    seed: Annotated[int, typer.Option(help="The same seed and request give the same text.")] = 0,
    options: Annotated[Path | None, typer.Option(help="A YAML file of what stands under a model's `simulator:` in a recipe.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="No flaws in the texts.")] = False,
    key_env: Annotated[str, typer.Option(help="Want the key that this environment variable holds.")] = "",
) -> None:
    """Serve a local stand-in for the model APIs until Ctrl-C.

    It speaks OpenAI chat completions, completions, models, embeddings, moderations and batches, Anthropic messages and message batches.
    Point any client at it:
    base_url http://127.0.0.1:8900/v1 for OpenAI's, http://127.0.0.1:8900 for Anthropic's. Its texts are invented: never train on them.
    """
    given = {"seed": seed} | (_read(options) if options is not None else {}) | ({"flaws": {}} if clean else {})
    try:
        chosen = from_mapping(given)
    except RecipeError as error:
        raise InputError(f"{options or 'options'}: {error}") from error
    if key_env:
        if not os.environ.get(key_env):
            raise InputError(f"--key-env {key_env}: that environment variable is not set")
        chosen = replace(chosen, api_key=os.environ[key_env])
    if not _is_loopback(host) and chosen.api_key is None:
        raise InputError(f"--host {host} can be reached from other machines: give --key-env NAME too, so that a key is wanted")
    try:
        asyncio.run(_serve(chosen, host, port))
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


async def _serve(options: SimulatorOptions, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, stop.set)
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(options, host=host, port=port) as server:
        print(f"simulating the model APIs on {server.base_url}  (Ctrl-C ends it)", flush=True)
        print(f"  OpenAI     base_url {server.base_url}/v1\n  Anthropic  base_url {server.base_url}", flush=True)
        await stop.wait()
    print("stopped", file=sys.stderr)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except (ValueError, RecursionError, YAMLError) as error:
        raise InputError(f"{path} is no YAML text: {(str(error).splitlines() or ['cannot be read'])[0]}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: a mapping of options is wanted, such as `faults: {{rate_limit: 0.1}}`")
    return data


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
