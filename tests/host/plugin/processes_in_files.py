"""A plugin for tests: processes whose descriptions lie in files beside it."""

from collections.abc import Mapping
from typing import Annotated, Any

import fastprocesses_sdk as fp


@fp.process(description="grow.yaml", timeout_seconds=20)
def grow(distance: Annotated[float, fp.Input(gt=0)], steps: int = 2) -> float:
    """Multiply."""
    return distance * steps


@fp.process(description="grow_by_hand.json")
class GrowByHand:
    """Multiply, described by hand."""

    def execute(self, inputs: Mapping[str, Any], job: fp.Job) -> Mapping[str, Any]:
        """Multiply."""
        job.progress(50, "growing")
        return {"result": inputs["distance"] * inputs.get("steps", 2), "format": job.format("format")}
