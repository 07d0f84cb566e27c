"""Who puts load on the platform, by what they do."""

from loadtests.users.advisor import AdvisorUser
from loadtests.users.core_bank import CoreBankUser
from loadtests.users.desk import RestUser, StubUser
from loadtests.users.front_line import BranchManagerUser, FrontLineUser, RobotUser
from loadtests.users.handed import Handed
from loadtests.users.head_office import HeadOfficeUser
from loadtests.users.ids import SEQUENCE, SdkUser
from loadtests.users.loop import LoopUser
from loadtests.users.makers import CatalogueUser, StrategyUser

__all__ = [
    "SEQUENCE",
    "AdvisorUser",
    "BranchManagerUser",
    "CatalogueUser",
    "CoreBankUser",
    "FrontLineUser",
    "Handed",
    "HeadOfficeUser",
    "LoopUser",
    "RestUser",
    "RobotUser",
    "SdkUser",
    "StrategyUser",
    "StubUser",
]
