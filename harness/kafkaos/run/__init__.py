"""One run: traffic, faults, healing, the final truth, the verdict. What a scenario calls `chaos`."""

from kafkaos.run.chaos import Chaos
from kafkaos.run.judging import GuaranteeBroken, VerdictUnknown, tell
from kafkaos.run.stored import PLAN_FILE, plan_of, verdicts_of

__all__ = ["PLAN_FILE", "Chaos", "GuaranteeBroken", "VerdictUnknown", "plan_of", "tell", "verdicts_of"]
