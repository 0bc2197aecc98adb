"""A Ray cluster for the tests in this folder."""

import pytest

from benchmarks import pool


@pytest.fixture(scope="session")
def cluster():
    """A head and two nodes of one core each.

    The head has no core to give, as in most clusters: who works is never where the driver is.
    """
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER", False)
        for name in ("RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness"):
            patch.setenv(name, "0")
        with pool.cluster(2, head_cores=0) as made:
            yield made
