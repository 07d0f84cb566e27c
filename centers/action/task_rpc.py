"""The contract of tasks: messages to use cases and back."""

from __future__ import annotations

from centers.action import wire
from centers.action.completion import Completion, Completions
from centers.action.domain import Worker
from centers.action.leases import Leases
from centers.action.tasks import Tasks
from centers.action.views import Views
from engine.action.v1 import action_pb2, action_pb2_grpc
from mesh import context


class TaskRpc(action_pb2_grpc.TaskServiceServicer):
    """Serves `engine.action.v1.TaskService`."""

    def __init__(
        self, tasks: Tasks, completions: Completions, views: Views, leases: Leases
    ) -> None:
        self._tasks = tasks
        self._completions = completions
        self._views = views
        self._leases = leases

    async def ListMyTasks(
        self, request: action_pb2.ListMyTasksRequest, _: object
    ) -> action_pb2.ListMyTasksResponse:
        page = await self._tasks.page(
            wire.tasks_page(request),
            request.owner_id,
            state=request.state,
            scene_id=request.scene_id,
        )
        return action_pb2.ListMyTasksResponse(
            tasks=map(wire.task, page.entries), next_page_token=page.next_token
        )

    async def GetTask(
        self, request: action_pb2.GetTaskRequest, _: object
    ) -> action_pb2.GetTaskResponse:
        view = await self._views.view(request.task_id)
        return action_pb2.GetTaskResponse(task_view=wire.view(view))

    async def StartTask(
        self, request: action_pb2.StartTaskRequest, _: object
    ) -> action_pb2.StartTaskResponse:
        return await self._tasks.start(
            request.task_id,
            _worker(),
            lambda made: action_pb2.StartTaskResponse(task=wire.task(made)),
        )

    async def CompleteTask(
        self, request: action_pb2.CompleteTaskRequest, _: object
    ) -> action_pb2.CompleteTaskResponse:
        completion = Completion(
            outcome=request.outcome, contact_id=request.contact_id, etag=request.etag
        )
        return await self._completions.complete(
            request.task_id,
            completion,
            _worker(),
            lambda made: action_pb2.CompleteTaskResponse(task=wire.task(made)),
        )

    async def ReassignTask(
        self, request: action_pb2.ReassignTaskRequest, _: object
    ) -> action_pb2.ReassignTaskResponse:
        return await self._tasks.reassign(
            request.task_id,
            wire.owner(request),
            request.reason,
            lambda made: action_pb2.ReassignTaskResponse(task=wire.task(made)),
        )

    async def ListTaskOwners(
        self, request: action_pb2.ListTaskOwnersRequest, _: object
    ) -> action_pb2.ListTaskOwnersResponse:
        found = await self._tasks.owners(request.task_id)
        return action_pb2.ListTaskOwnersResponse(owners=map(wire.interval, found))

    async def LeaseTasks(
        self, request: action_pb2.LeaseTasksRequest, _: object
    ) -> action_pb2.LeaseTasksResponse:
        return await self._leases.take(
            request.owner_id,
            context.current().actor,
            count=request.max_tasks,
            time=request.lease_time.ToTimedelta(),
            respond=lambda lent: action_pb2.LeaseTasksResponse(tasks=map(wire.task, lent)),
        )


def _worker() -> Worker:
    current = context.current()
    staff_id = current.principal.staff_id if current.principal else 0
    return Worker(actor=current.actor, staff_id=staff_id)
