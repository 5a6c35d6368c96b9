"""Vector processes on GeoJSON; widths, areas and lengths as on the ground, anywhere on Earth."""

from fastprocesses_vector.buffering import buffer
from fastprocesses_vector.centroids import centroid
from fastprocesses_vector.clipping import clip
from fastprocesses_vector.dissolving import dissolve
from fastprocesses_vector.intersecting import intersection
from fastprocesses_vector.measuring import measure
from fastprocesses_vector.repairing import repair
from fastprocesses_vector.reprojecting import reproject
from fastprocesses_vector.sampling import sample_points
from fastprocesses_vector.simplifying import simplify
from fastprocesses_vector.validating import validate

__all__ = [
    "buffer",
    "centroid",
    "clip",
    "dissolve",
    "intersection",
    "measure",
    "repair",
    "reproject",
    "sample_points",
    "simplify",
    "validate",
]
