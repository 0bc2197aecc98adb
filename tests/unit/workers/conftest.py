"""A Ray cluster for the tests in this folder."""

import pytest


@pytest.fixture(scope="session")
def cluster():
    """A head and two nodes of one processor each, which only this machine can reach.

    The head has no processor to give, as in most clusters: who works is never where the driver is.
    """
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER", False)
    # Beside other tests a nice worker would wait for them all.
    patch.setenv("RAY_worker_niceness", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()
    patch.undo()
