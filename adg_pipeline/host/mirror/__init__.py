"""What of an object store lies on this machine: a working copy, of which every file is the bucket's newest when it is asked
for, and goes into the bucket before it counts as written."""

from adg_pipeline.host.mirror.bucket import SCHEMES, Bucket, Object
from adg_pipeline.host.mirror.leases import LeaseLost
from adg_pipeline.host.mirror.mirror import Mirror, changed_ns, mirror_around, mirror_of, open_mirror

__all__ = [
    "SCHEMES",
    "Bucket",
    "LeaseLost",
    "Mirror",
    "Object",
    "changed_ns",
    "mirror_around",
    "mirror_of",
    "open_mirror",
]
