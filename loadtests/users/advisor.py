"""Who looks after customers beside the tasks: what suits them, what they want, what came of it."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from itertools import cycle
from typing import Final

from locust import task

from engine.benefits.v1 import benefits_pb2
from engine.materials.v1 import materials_pb2
from engine.performance.v1 import performance_pb2
from engine.product.v1 import product_pb2
from engine.reach.v1 import reach_pb2
from engine.review.v1 import review_pb2
from loadtests.contracts import request_id
from loadtests.document import PAGES
from loadtests.people import AGENTS, MANAGERS, Member
from loadtests.users.front_line import PARTS
from loadtests.users.loop import LoopUser
from mesh.zone import BANK_ZONE

WITH_WISHES: Final = 1
"""Customers who tell how they want to be contacted: one in ten."""

DAY_MINUTES: Final = 1_440
GONE_OUT: Final = frozenset({"CONTACT_GONE_OUT"})
WHOLE_BP: Final = 10_000


class AdvisorUser(LoopUser):
    """A relationship manager or an agent with a customer in front of him."""

    _members = cycle((*MANAGERS, *AGENTS))
    me: Member

    def on_start(self) -> None:
        """Be the next one of them, with his book."""
        self.me = next(self._members)
        self._book = [token for token, owner in self.stage.owners.items() if owner == self.me]
        self._particular = [token for token in self._book if token % PARTS == WITH_WISHES]

    @task(3)
    def propose(self) -> None:
        """See what suits a customer, check one product, and propose it."""
        customer_id = secrets.choice(self._book)
        shelf = self.ask(self.me.username, product_pb2.ListShelfRequest(customer_id=customer_id))
        product_id = secrets.choice(shelf.products).definition.definition_id
        check = product_pb2.CheckSuitabilityRequest(
            customer_id=customer_id, product_id=product_id, request_id=request_id()
        )
        found = self.ask(self.me.username, check).suitability_check
        assert found.suitable, "The shelf shows what does not suit"
        line = product_pb2.ProposalLine(product_id=product_id, share_bp=WHOLE_BP)
        proposal = product_pb2.CreateProposalRequest(
            customer_id=customer_id, lines=[line], request_id=request_id()
        )
        self.ask(self.me.username, proposal)

    @task(2)
    def look_back(self) -> None:
        """What a customer was told and given, what one did, and what one earned by it."""
        who, customer_id = self.me.username, secrets.choice(self._book)
        self.ask(who, reach_pb2.ListContactsRequest(customer_id=customer_id))
        self.ask(who, benefits_pb2.ListGrantsRequest(customer_id=customer_id))
        self.ask(who, review_pb2.ListBehaviorsRequest(page_size=20))
        credits_ = performance_pb2.ListCreditsRequest(
            metric=performance_pb2.METRIC_NET_EXTERNAL_INFLOW, page_size=20
        )
        for credit in self.ask(who, credits_).credits[:1]:
            explain = performance_pb2.ExplainNumberRequest(credit_id=credit.credit_id)
            explained = self.ask(who, explain)
            assert explained.credit.amount_fen == credit.amount_fen, "Another number"

    @task(2)
    def read(self) -> None:
        """Fill the script, and fetch the bytes of one page of the document."""
        script = materials_pb2.RenderScriptRequest(
            material_id=self.stage.script_id, slots=self.stage.slots
        )
        self.ask(self.me.username, script)
        material_id: int = self.environment.document_id
        page = materials_pb2.GetManifestRequest(
            material_id=material_id, first_page=1 + secrets.randbelow(PAGES), page_count=1
        )
        manifest = self.ask(self.me.username, page).manifest
        for wanted in [*manifest.head, *manifest.page_ranges[0].ranges]:
            content = materials_pb2.GetContentRequest(material_id=material_id)
            fetched = self.fetch(self.me.username, content, (wanted.first, wanted.last))
            assert hashlib.sha256(fetched).hexdigest() == wanted.sha256, "Other bytes"

    @task(1)
    def record_wishes(self) -> None:
        """A customer refuses text messages, and thinks better of it."""
        who, customer_id = self.me.username, secrets.choice(self._particular)
        self.ask(who, reach_pb2.GetPolicyRequest())
        refused = reach_pb2.RecordOptOutRequest(
            customer_id=customer_id,
            channel=reach_pb2.CHANNEL_SMS,
            evidence="CALL",
            request_id=request_id(),
        )
        assert self.ask(who, refused).preference.opted_out, "Not recorded"
        consented = reach_pb2.RecordConsentRequest(
            customer_id=customer_id,
            channel=reach_pb2.CHANNEL_SMS,
            evidence="CALL",
            request_id=request_id(),
        )
        assert self.ask(who, consented).preference.consented, "Not recorded"

    @task(1)
    def call_off(self) -> None:
        """A message waits for the customer's quiet hours to end, and is called off."""
        who, customer_id = self.me.username, secrets.choice(self._particular)
        now = datetime.now(BANK_ZONE)
        minute = now.hour * 60 + now.minute
        quiet = reach_pb2.SetQuietHoursRequest(
            customer_id=customer_id,
            from_minute=(minute - 60) % DAY_MINUTES,
            to_minute=(minute + 360) % DAY_MINUTES,
        )
        self.ask(who, quiet)
        message = reach_pb2.SendSmsRequest(
            customer_id=customer_id,
            content=self.stage.content,
            product_id=self.stage.product_id,
            request_id=request_id(),
        )
        contact = self.ask(who, message).contact
        if contact.receipt.decision == reach_pb2.ADMISSION_DECISION_DEFERRED:
            cancel = reach_pb2.CancelContactRequest(
                customer_id=customer_id, contact_id=contact.contact_id, request_id=request_id()
            )
            self.ask(who, cancel, GONE_OUT)
