"""The accelerate recipes are ones that accelerate reads, and say what their names say."""

from __future__ import annotations

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPES = {
    "accelerate_config.yaml": {"num_processes": 1, "use_cpu": True, "mixed_precision": "no"},
    "training/recipes/two_cpu_processes.yaml": {"num_processes": 2, "use_cpu": True, "mixed_precision": "no"},
    "training/recipes/one_gpu.yaml": {"num_processes": 1, "use_cpu": False, "mixed_precision": "bf16"},
    "training/recipes/eight_gpus_sharded.yaml": {"num_processes": 8, "use_cpu": False, "mixed_precision": "bf16"},
    "training/recipes/eight_gpus.yaml": {"num_processes": 8, "use_cpu": False, "mixed_precision": "bf16"},
}


def test_every_recipe_is_listed_here():
    found = {f"training/recipes/{path.name}" for path in (REPOSITORY / "training" / "recipes").iterdir()}
    assert found | {"accelerate_config.yaml"} == set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_accelerate_reads_it(recipe: str):
    config = load_config_from_file(str(REPOSITORY / recipe))
    assert {name: getattr(config, name) for name in RECIPES[recipe]} == RECIPES[recipe]
