"""Start training with FSDP on processors: accelerate offers FSDP on accelerators only, torch has it everywhere."""

import os
import sys

os.environ.update(ACCELERATE_USE_FSDP="true", FSDP_VERSION=os.environ.get("FSDP_VERSION", "2"))

from accelerate.state import PartialState  # noqa: E402
from accelerate.utils import DistributedType  # noqa: E402

PartialState(cpu=True)
PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU

from echomimic_core.training.__main__ import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
