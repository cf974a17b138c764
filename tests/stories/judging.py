"""A simulated base model that can tell orders to a model from articles."""

from collections.abc import Sequence

from sealserve import prompts
from sealserve.base_models.judge_calibration import TextKind, judged_texts
from sealserve.engine.engine import Likelihood, ScoreRequest
from tests.stories.student import Student

_QUESTION = prompts.ask_for_orders("").partition("\n")[0]


def teach_to_judge(student: Student, orders: Sequence[str]) -> None:
    """Let the student believe that the shipped orders, and `orders`, are orders."""
    score = student.score
    believed = (*orders, *(text.text for text in judged_texts() if text.kind is TextKind.ORDER))

    async def judging(request: ScoreRequest) -> Likelihood:
        prompt = request.turns[-1].content
        if not prompt.startswith(_QUESTION):
            return await score(request)
        is_order = any(order in prompt for order in believed)
        return Likelihood(log_likelihood=-0.1 if (request.completion == "yes") == is_order else -6.0, tokens=1)

    student.score = judging  # type: ignore[method-assign]
