"""Who did what to whom, and why: the records of methods marked `audited`."""

from mesh.audit._entry import TOPIC, AuditLog, Entry, note
from mesh.audit._policy import policy_version
from mesh.audit._subject import Subject

__all__ = ["TOPIC", "AuditLog", "Entry", "Subject", "note", "policy_version"]
