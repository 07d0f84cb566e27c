"""The life cycle of what reaches customers or money: draft, review, published.

A definition (scene, model, product, material, policy, rule) has versions from 1.
One version at most is open, in draft or in review; published ones never change.
"""

from mesh.definitions._cycle import State, Version
from mesh.definitions._definitions import Definitions
from mesh.definitions._reason import DefinitionReason
from mesh.definitions._table import create_table
from mesh.definitions._wire import to_message

__all__ = [
    "DefinitionReason",
    "Definitions",
    "State",
    "Version",
    "create_table",
    "to_message",
]
