"""All that candidates are measured by, as one part of the registry's face."""

from sealserve.registry.evaluation.answer_log import GivenAnswers
from sealserve.registry.evaluation.canary_suites import Canaries
from sealserve.registry.evaluation.feedback import Feedbacks
from sealserve.registry.evaluation.question_sets import Evaluations
from sealserve.registry.evaluation.score_cache import Measurements


class Evidence(Measurements, Feedbacks, Evaluations, Canaries, GivenAnswers):
    """Kept measurements, feedback, evaluation sets, canary suites, and which version gave which answer."""
