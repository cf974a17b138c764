"""All that candidates are measured by, as one part of the registry's face."""

from sealserve.registry.canaries import Canaries
from sealserve.registry.evaluations import Evaluations
from sealserve.registry.feedback import Feedbacks
from sealserve.registry.given_answers import GivenAnswers
from sealserve.registry.measurements import Measurements


class Evidence(Measurements, Feedbacks, Evaluations, Canaries, GivenAnswers):
    """Kept measurements, feedback, evaluation sets, canary suites, and which version gave which answer."""
