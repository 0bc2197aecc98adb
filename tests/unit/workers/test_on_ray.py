"""A real Ray cluster of three machines on this one: a machine that is lost, a task that kills, other code, no model."""

import os
import signal
from types import SimpleNamespace

import pytest

from echomimic_core.workers import Done, Failed
from echomimic_core.workers import on_ray as room

pytest.importorskip("ray")


def start():
    def work(task):
        kind, value = task
        if kind == "refuse":
            raise ValueError(f"{value} cannot be used")
        if kind == "kill":
            os._exit(1)
        if kind == "lose" and not os.path.exists(value):
            with open(value, "w", encoding="utf-8") as file:
                file.write("lost once")
            os.kill(os.getppid(), signal.SIGKILL)  # The machine's own process
            signal.pause()
        return value

    return work


def fail():
    raise ValueError("no such model")


def by_index(outcomes):
    return {outcome.index: outcome for outcome in outcomes}


def test_tasks_are_spread_and_fail_alone(cluster):
    tasks = [("give", 0), ("refuse", "this voice"), ("give", 2), ("kill", 3), ("give", 4)]
    found = by_index(room.on_ray(start, tasks, cluster.address))
    assert len(found) == 5
    assert all(isinstance(found[i], Done) and found[i].value == i for i in (0, 2, 4))
    assert found[1] == Failed(1, "this voice cannot be used")
    assert "its worker was lost 3 times" in found[3].reason


def test_what_stops_every_worker_is_one_sentence(cluster, monkeypatch):
    driver = os.getpid()
    with pytest.raises(ValueError, match="no such model"):
        list(room.on_ray(fail, [("give", 1)], cluster.address))
    with pytest.raises(ValueError, match="the model on 127.0.0.1 is another: theirs, here it is ours"):
        same = lambda: "ours" if os.getpid() == driver else "theirs"  # noqa: E731 (sent by value)
        list(room.on_ray(start, [("give", 1)], cluster.address, same=same))
    monkeypatch.setattr(room, "code_version", lambda: "another")
    with pytest.raises(ValueError, match="127.0.0.1 has other code"):
        list(room.on_ray(start, [("give", 1)], cluster.address))


def test_the_task_of_a_machine_that_is_lost_is_done_by_another(cluster, tmp_path):
    cluster.add_node(num_cpus=1)  # In place of the one that is lost
    tasks = [("lose", str(tmp_path / "mark")), ("give", 1), ("give", 2), ("give", 3)]
    found = by_index(room.on_ray(start, tasks, cluster.address))
    assert found[0].value == str(tmp_path / "mark") and [found[i].value for i in (1, 2, 3)] == [1, 2, 3]


def test_no_cluster_is_a_sentence():
    with pytest.raises(ValueError, match="no Ray cluster at 127.0.0.1:1"):
        list(room.on_ray(start, [("give", 1)], "127.0.0.1:1"))


def test_workers_that_are_lost_while_they_load_are_not_hired_for_ever():
    pool = object.__new__(room._Pool)
    pool.share, pool.losses = room._Share(1, 1), 0
    assert [list(pool.lost(None)) for _ in range(room.MOST_ATTEMPTS - 1)] == [[], []]
    with pytest.raises(ValueError, match="lost while they load"):
        list(pool.lost(None))


def test_what_a_lost_worker_has_finished_is_not_done_twice():
    pool = object.__new__(room._Pool)
    pool.tasks, pool.attempts, pool.waiting = ["one", "two"], [1, 1], room.deque()
    pool.found = {"one": "one.mp4"}.get
    assert list(pool.lost(0)) == [Done(0, "one.mp4")] and not list(pool.lost(1))
    assert list(pool.waiting) == [1]


def test_where_no_machine_is_left_nothing_is_waited_for():
    pool = object.__new__(room._Pool)
    pool.busy, alive = {"future": None}, [True, False]
    pool.ray = SimpleNamespace(
        wait=lambda *_, **__: ([], []),
        nodes=lambda: [{"Alive": alive.pop(0), "Resources": {"CPU": 1}}],
    )
    with pytest.raises(ValueError, match="no machine of the cluster is left"):
        pool.next()
    assert not alive


def machines(*resources):
    return [{"Resources": dict(zip(("CPU", "GPU"), given, strict=False))} for given in resources]


@pytest.mark.parametrize(
    ("has", "tasks", "workers", "cores", "share"),
    [
        ([(8,), (4,)], 9, 0, 0, (2, 4, 0.0)),  # One a machine, of the smallest's size
        ([(16, 4), (16, 4)], 99, 0, 0, (8, 4, 1.0)),  # One a card
        ([(16, 4), (16, 4)], 3, 0, 0, (3, 10, 1.0)),
        ([(16, 1)], 99, 2, 0, (2, 8, 0.5)),  # Two share a card
        ([(8, 2), (4,)], 99, 0, 1, (12, 1, 0.0)),  # One a core, no card
        ([(1,)], 99, 4, 0, (4, 1, 0.0)),
    ],
)
def test_each_worker_gets_its_share(has, tasks, workers, cores, share):
    assert room._Share.of(machines(*has), tasks, workers, cores) == room._Share(*share)
