"""The reach centre's contract: messages to use cases and back."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message

from centers.reach import wire
from centers.reach.admissions import Admissions, Ask, Ids, Respond
from centers.reach.caller import dialled_by, refuse_exemption
from centers.reach.contacts import ContactBook
from centers.reach.domain import Channel, Contact, ContactClass
from centers.reach.gates import Script
from centers.reach.policies import Policies
from centers.reach.preference import Said
from centers.reach.preferences import PreferenceBook, Statement
from centers.reach.quiet import QuietHours
from engine.reach.v1 import reach_pb2, reach_pb2_grpc
from mesh import audit, context

Request = reach_pb2.SendSmsRequest | reach_pb2.SendWecomRequest | reach_pb2.ClickToDialRequest
Answer = TypeVar("Answer", bound=Message)


class ReachRpc(reach_pb2_grpc.ReachServiceServicer):
    """Serves `engine.reach.v1.ReachService`."""

    def __init__(
        self,
        *,
        admissions: Admissions,
        contacts: ContactBook,
        preferences: PreferenceBook,
        policies: Policies,
        ids: Ids,
    ) -> None:
        self._admissions = admissions
        self._contacts = contacts
        self._preferences = preferences
        self._policies = policies
        self._ids = ids

    async def CheckContactable(
        self, request: reach_pb2.CheckContactableRequest, _: object
    ) -> reach_pb2.CheckContactableResponse:
        found = await self._admissions.contactable(
            request.customer_id, wire.contact_class(request.contact_class)
        )
        return reach_pb2.CheckContactableResponse(channels=map(wire.channel_state, found))

    async def SendSms(
        self, request: reach_pb2.SendSmsRequest, _: object
    ) -> reach_pb2.SendSmsResponse:
        return await self._ask(
            request,
            Channel.SMS,
            lambda made: reach_pb2.SendSmsResponse(contact=wire.contact(made)),
        )

    async def SendWecom(
        self, request: reach_pb2.SendWecomRequest, _: object
    ) -> reach_pb2.SendWecomResponse:
        return await self._ask(
            request,
            Channel.WECOM,
            lambda made: reach_pb2.SendWecomResponse(contact=wire.contact(made)),
        )

    async def ClickToDial(
        self, request: reach_pb2.ClickToDialRequest, _: object
    ) -> reach_pb2.ClickToDialResponse:
        return await self._ask(
            request,
            dialled_by(context.current().principal),
            lambda made: reach_pb2.ClickToDialResponse(contact=wire.contact(made)),
        )

    async def GetContact(
        self, request: reach_pb2.GetContactRequest, _: object
    ) -> reach_pb2.GetContactResponse:
        found = await self._contacts.get(request.customer_id, request.contact_id)
        return reach_pb2.GetContactResponse(contact=wire.contact(found))

    async def ListContacts(
        self, request: reach_pb2.ListContactsRequest, _: object
    ) -> reach_pb2.ListContactsResponse:
        page = await self._contacts.page(request.customer_id, wire.contacts_page(request))
        return reach_pb2.ListContactsResponse(
            contacts=map(wire.contact, page.entries), next_page_token=page.next_token
        )

    async def CancelContact(
        self, request: reach_pb2.CancelContactRequest, _: object
    ) -> reach_pb2.CancelContactResponse:
        return await self._contacts.cancel(
            request.customer_id,
            request.contact_id,
            lambda made: reach_pb2.CancelContactResponse(contact=wire.contact(made)),
        )

    async def RecordOptOut(
        self, request: reach_pb2.RecordOptOutRequest, _: object
    ) -> reach_pb2.RecordOptOutResponse:
        return await self._preferences.state(
            _statement(request, Said.REFUSES),
            lambda made: reach_pb2.RecordOptOutResponse(preference=wire.preference(made)),
        )

    async def RecordConsent(
        self, request: reach_pb2.RecordConsentRequest, _: object
    ) -> reach_pb2.RecordConsentResponse:
        return await self._preferences.state(
            _statement(request, Said.CONSENTS),
            lambda made: reach_pb2.RecordConsentResponse(preference=wire.preference(made)),
        )

    async def SetQuietHours(
        self, request: reach_pb2.SetQuietHoursRequest, _: object
    ) -> reach_pb2.SetQuietHoursResponse:
        return await self._preferences.rest(
            request.customer_id,
            QuietHours(request.from_minute, request.to_minute),
            lambda made: reach_pb2.SetQuietHoursResponse(preference=wire.preference(made)),
        )

    async def DraftPolicy(
        self, request: reach_pb2.DraftPolicyRequest, _: object
    ) -> reach_pb2.DraftPolicyResponse:
        return await self._policies.draft(
            request.contact_policy,
            context.current().actor,
            lambda made: reach_pb2.DraftPolicyResponse(contact_policy=made),
        )

    async def SubmitPolicy(
        self, request: reach_pb2.SubmitPolicyRequest, _: object
    ) -> reach_pb2.SubmitPolicyResponse:
        return await self._policies.submit(
            request.version,
            context.current().actor,
            lambda made: reach_pb2.SubmitPolicyResponse(contact_policy=made),
        )

    async def ApprovePolicy(
        self, request: reach_pb2.ApprovePolicyRequest, _: object
    ) -> reach_pb2.ApprovePolicyResponse:
        return await self._policies.approve(
            request.version,
            context.current().actor,
            lambda made: reach_pb2.ApprovePolicyResponse(contact_policy=made),
        )

    async def GetPolicy(
        self, request: reach_pb2.GetPolicyRequest, _: object
    ) -> reach_pb2.GetPolicyResponse:
        found = await self._policies.get(request.version)
        return reach_pb2.GetPolicyResponse(contact_policy=found)

    async def ListOptedOut(
        self, request: reach_pb2.ListOptedOutRequest, _: object
    ) -> reach_pb2.ListOptedOutResponse:
        refusing = await self._preferences.refusing(
            request.customer_ids, wire.contact_class(request.contact_class)
        )
        return reach_pb2.ListOptedOutResponse(customer_ids=refusing)

    async def HoldScene(
        self, request: reach_pb2.HoldSceneRequest, _: object
    ) -> reach_pb2.HoldSceneResponse:
        versions = {request.scene_version, *request.scene_versions}
        await self._contacts.hold(*versions, held=request.held, told=wire.decided(request))
        return reach_pb2.HoldSceneResponse()

    async def ReportDelivery(
        self, request: reach_pb2.ReportDeliveryRequest, _: object
    ) -> reach_pb2.ReportDeliveryResponse:
        state = await self._contacts.report(request.contact_id, wire.report(request))
        return reach_pb2.ReportDeliveryResponse(state=reach_pb2.ContactState.ValueType(state))

    async def GetEvidence(
        self, request: reach_pb2.GetEvidenceRequest, _: object
    ) -> reach_pb2.GetEvidenceResponse:
        found = await self._contacts.evidence(request.contact_id)
        return reach_pb2.GetEvidenceResponse(contact=wire.contact(found))

    async def _ask(self, request: Request, channel: Channel, respond: Respond[Answer]) -> Answer:
        serving = context.current()
        contact_class = wire.contact_class(request.contact_class)
        refuse_exemption(contact_class, serving.principal)
        contact_id = await self._ids.next()
        ask = Ask(
            contact_id=contact_id,
            customer_id=request.customer_id,
            channel=channel,
            contact_class=contact_class,
            staff_id=serving.principal.staff_id if serving.principal else 0,
            actor=serving.actor,
            script=wire.script(request.content) if request.HasField("content") else Script(),
            task_id=request.task_id,
            product_id=request.product_id,
        )

        def noted(made: Contact) -> Answer:
            chain = wire.chain(made.chain, made.contact_id)
            audit.note(object=f"contact_id={made.contact_id}", chain=chain)
            return respond(made)

        return await self._admissions.ask(ask, noted)


def _statement(
    request: reach_pb2.RecordOptOutRequest | reach_pb2.RecordConsentRequest, said: Said
) -> Statement:
    return Statement(
        customer_id=request.customer_id,
        channel=Channel(request.channel),
        contact_class=ContactClass(request.contact_class),
        said=said,
        evidence=request.evidence,
    )
