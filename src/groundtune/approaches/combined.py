"""Ask a cited approach for the facts and a tuned one for the form, at once, and merge their answers."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace

from groundtune.approaches.merging import Basis, Merged, merge_answers, merge_objects, merge_written
from groundtune.approaches.pipeline import WITHOUT_DOCUMENTS
from groundtune.citations.checking import check_citations, sentence_evidence
from groundtune.common.answers import combined_answer, request_answer, total_usage
from groundtune.common.conversations import transcript
from groundtune.common.text import format_count, one_line
from groundtune.errors import ProviderError
from groundtune.protocols import Approach, SupportChecker
from groundtune.types import Answer, Question, Task, Trace, Usage


class Combined:
    """An approach that takes facts from one approach and form from another; `merging` says how.

    Where the two disagree on a fact, that of the first stands, and `Answer.warnings` tells both. If the first abstains,
    so does the combination; if the second does, the answer is that of the first. Tokens and cost are those of both. A
    user who may not ask one of them may not ask the combination.

    task: `answer`, `write` or `extract`. strict, language, checker: as for a pipeline.
    """

    def __init__(
        self,
        name: str,
        facts: Approach,
        form: Approach,
        *,
        task: Task,
        strict: bool = False,
        language: str = "english",
        checker: SupportChecker | None = None,
    ) -> None:
        self.name = name
        self._facts = facts
        self._form = form
        self._task = task
        self._strict = strict
        self._language = language
        self._checker = checker

    @property
    def parts(self) -> tuple[Approach, Approach]:
        """The approach of the facts and that of the form."""
        return self._facts, self._form

    def with_parts(self, approaches: Mapping[str, Approach]) -> "Combined":
        """Return the same combination of other approaches with the same names, as far as they are given."""
        facts, form = (approaches.get(part.name, part) for part in self.parts)
        return Combined(
            self.name,
            facts,
            form,
            task=self._task,
            strict=self._strict,
            language=self._language,
            checker=self._checker,
        )

    @property
    def samples(self) -> bool:
        """Whether both approaches honour the sampling of a question."""
        return all(getattr(approach, "samples", False) for approach in self.parts)

    async def prepare(self, question: Question) -> None:
        """Do the one-time setup of both."""
        for part in self.parts:
            if prepare := getattr(part, "prepare", None):
                await prepare(question)

    async def answer(self, question: Question) -> Answer:
        """Answer the question. Raises what either approach raises; the other one is then cancelled."""
        facts, form = await _ask_both(self._facts, self._form, question)
        if facts.status == "abstained":
            return _whole(self.name, form, facts)
        if form.status == "abstained":
            note = f"{form.approach} abstained: this is the answer of {facts.approach} alone"
            return _whole(self.name, form, replace(facts, trace=_noted(facts, note)))
        basis = Basis(
            facts.citations, facts.hits, transcript(question.text, question.history), self._language, self._checker
        )
        merged = await asyncio.to_thread(self._merged, facts, form, basis)
        return _whole(self.name, form, merged)

    def _merged(self, facts: Answer, form: Answer, basis: Basis) -> Answer:
        """Return the answer of the facts in the other's form."""
        if self._task == "extract":
            if not (isinstance(facts.output, Mapping) and isinstance(form.output, Mapping)):
                return replace(facts, trace=_noted(facts, f"{form.approach} or {facts.approach} gave no object"))
            merged = merge_objects(form.output, facts.output, basis)
            answer = replace(facts, output=merged.output, text=json.dumps(merged.output, ensure_ascii=False))
        elif self._task == "write":
            merged = merge_written(form.text, basis)
            evidence = sentence_evidence(merged.output, basis.hits, language=self._language)
            answer = replace(facts, text=merged.output, citations=evidence)
        else:
            merged = merge_answers(form.text, basis)
            text, citations = check_citations(
                merged.output, basis.hits, strict=self._strict, language=self._language, checker=self._checker
            )
            answer = replace(facts, text=text, citations=tuple(replace(each, added=True) for each in citations))
        if not answer.text:
            return replace(facts, trace=_noted(facts, f"no passage supports the answer of {form.approach}"))
        return _told(answer, facts, form, merged)


async def _ask_both(facts: Approach, form: Approach, question: Question) -> tuple[Answer, Answer]:
    """Return both answers. Raises the first error; that of a provider with what both took."""
    tasks = [asyncio.ensure_future(request_answer(approach, question)) for approach in (form, facts)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [each for each in outcomes if isinstance(each, BaseException)]
    for error in sorted(errors, key=lambda each: isinstance(each, asyncio.CancelledError)):
        if isinstance(error, ProviderError):
            others = [each.usage if isinstance(each, Answer) else Usage() for each in outcomes if each is not error]
            error.usage = total_usage([*others, error.usage or Usage()])
        raise error
    return tasks[1].result(), tasks[0].result()


def _told(answer: Answer, facts: Answer, form: Answer, merged: Merged) -> Answer:
    """Add where the two disagree, and what is missing of the form."""
    told = [
        f"{form.approach} and {facts.approach} disagree, and what {facts.approach} cites stands: "
        f"{each.form!r}, but {each.facts!r}"
        for each in merged.disagreements
    ]
    if merged.left_out:
        count = format_count(len(merged.left_out), "statement")
        told.append(f"{count} of {form.approach} left out, because nothing supports them: {'; '.join(merged.left_out)}")
    return replace(answer, warnings=(*answer.warnings, *told))


def _whole(name: str, form: Answer, merged: Answer) -> Answer:
    """Return the merged answer with what both took. They were asked at once, so its seconds are those of the slower."""
    whole = combined_answer(name, [form, merged])
    both = (form.usage.seconds, merged.usage.seconds)
    seconds = None if None in both else max(each for each in both if each is not None)
    slower = form if seconds is not None and seconds == form.usage.seconds else merged
    form_warnings = [each for each in form.warnings if each != WITHOUT_DOCUMENTS]
    return replace(
        whole,
        usage=replace(whole.usage, seconds=seconds),
        steps=slower.steps,
        warnings=(*form_warnings, *merged.warnings),
        cut=merged.cut or form.cut,
        trace=_noted(whole, f"{form.approach}: {one_line(form.text)}"),
    )


def _noted(answer: Answer, note: str) -> Trace:
    return replace(answer.trace, notes=(*answer.trace.notes, note))
