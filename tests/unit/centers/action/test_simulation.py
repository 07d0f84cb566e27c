"""What a scene would have done."""

from __future__ import annotations

import pytest

from centers.action.decision import BacktestPage
from centers.action.errors import ActionReason
from centers.action.holdout import held_out
from centers.action.simulation import detectable_lift_bp
from mesh.errors import MeshError
from tests.unit.centers.action.office import AGENT, AGENT_KIND, Office, owner, scene


@pytest.mark.parametrize(
    ("customers", "held", "lift_bp"),
    [
        (1_300, 130, 442),  # by hand: 2.801585 x sqrt(.03 x .97 x (1/1170 + 1/130)) = 4.418 %
        (50_000, 5_000, 72),
        (20, 10, 2_138),
        (2, 1, 6_759),
        (100, 0, 10_000),
        (100, 100, 10_000),
        (0, 0, 10_000),
    ],
)
def test_the_lift_that_a_holdout_can_show(customers: int, held: int, lift_bp: int) -> None:
    """The textbook's approximation for two proportions; nothing can be shown with one side."""
    assert detectable_lift_bp(customers, held) == lift_bp


async def test_a_simulation_counts_every_customer_once(office: Office) -> None:
    """Held out, refused, busy, tasks by kind and desk: together all customers of the backtest."""
    running = await office.launched()
    for busy in (1, 2, 3):
        await office.fire(office.trigger(running.definition.definition_id, busy))
    office.world.opted_out_ids |= {4, 5}
    office.world.unowned.add(6)
    for customer_id in range(200, 231):
        office.world.owned[customer_id] = owner(customer_id, AGENT, kind=AGENT_KIND, branch_id=0)
    drafted = await office.drafted(scene(holdout_bp=1_000, holdout_salt="golden"))
    customers = range(1, 301)
    simulation = await office.simulated(drafted.definition.definition_id, customers, days=90)

    drawn = {one for one in customers if held_out("golden", one, 1_000)}
    assert drawn.isdisjoint({1, 2, 3, 4, 5, 6}), "the counts below assume it"
    agents = len(set(range(200, 231)) - drawn)
    tasks = 300 - len(drawn) - 3 - 2 - 1
    assert (simulation.customers, simulation.held_out) == (300, len(drawn))
    assert (simulation.opted_out, simulation.overlap) == (2, 3)
    assert simulation.tasks == tasks
    assert simulation.tasks_by_kind == {
        "OWNER_KIND_RELATIONSHIP_MANAGER": tasks - agents,
        "OWNER_KIND_DIRECT_OPERATIONS": agents,
    }
    assert simulation.busiest_per_day_hundredths == (tasks - agents) * 100 // 90
    assert simulation.mean_per_day_hundredths == tasks * 100 // 180
    assert simulation.detectable_lift_bp == detectable_lift_bp(300, len(drawn))
    stored = (await office.scenes.get(drafted.definition.definition_id, 0)).run
    assert stored.simulation == simulation


async def test_all_pages_of_a_backtest_are_played(office: Office) -> None:
    """A backtest of many customers comes in pages."""
    drafted = await office.drafted(scene())
    scene_id = drafted.definition.definition_id
    pages = [range(1, 3), range(3, 5), range(5, 6)]
    office.world.backtests[1] = [
        BacktestPage(
            customer_ids=page,
            scene_id=scene_id,
            days=30,
            next_token=str(number) if number < len(pages) else "",
        )
        for number, page in enumerate(pages, start=1)
    ]
    made = await office.simulations.simulate(scene_id, 1, lambda one: one.said.body)
    assert made == scene()
    run = (await office.scenes.get(scene_id, 0)).run
    assert run.simulation is not None
    assert run.simulation.customers == 5


async def test_a_backtest_of_another_scene_says_nothing(office: Office) -> None:
    """It would be played on customers whom this scene never sees."""
    drafted = await office.drafted(scene())
    other = BacktestPage(customer_ids=[1], scene_id=404, days=90, next_token="")
    office.world.backtests[1] = [other]
    with pytest.raises(MeshError) as refused:
        await office.simulations.simulate(
            drafted.definition.definition_id, 1, lambda one: one.said.body
        )
    assert refused.value.reason is ActionReason.BACKTEST_OF_OTHER_SCENE
