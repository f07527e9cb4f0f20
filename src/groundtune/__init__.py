"""Prompt, retrieve, fine-tune or combine? Find out on your own documents and examples, then run what you choose.

Everything public is exported here: `Project`, the types that its methods take and return, the errors they raise, and
what packages that extend groundtune need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundtune.build.approach_parts import ApproachParts
    from groundtune.config.tune_tables import TrainingConfig
    from groundtune.corpus.contradictions import Contradiction
    from groundtune.corpus.dates import StaleDate
    from groundtune.corpus.gaps import GapsReport, OpenQuestion, Topic
    from groundtune.corpus.report import DocumentsReport
    from groundtune.corpus.sizes import OddSize
    from groundtune.corpus.unused import UnusedFile
    from groundtune.corpus.versions import VersionPair
    from groundtune.decide.diagnosis import Diagnosis, Remedy
    from groundtune.decide.routing import CostQualityPoint, Routing
    from groundtune.drift.advice import DriftAction, ToLabel
    from groundtune.drift.canary import CanaryCheck
    from groundtune.drift.report import DriftReport
    from groundtune.drift.signals import DriftSignal
    from groundtune.errors import (
        AccessError,
        BudgetError,
        BusyError,
        ConfigError,
        FormatError,
        GroundtuneError,
        IndexMismatchError,
        JudgeError,
        MissingError,
        ParseError,
        Problem,
        ProviderError,
        QuestionError,
        UsageError,
    )
    from groundtune.extensions import Extensions
    from groundtune.ingest.parsed import ParsedDocument, TextBuilder
    from groundtune.ingest.sync import FileReport, SyncProgress, SyncReport
    from groundtune.measure.retrieval_quality import Miss, RetrievalReport, StageReport
    from groundtune.note import Note
    from groundtune.project import Project
    from groundtune.project.replaying import Replay
    from groundtune.project.ship_check import ShipItem, ShipReport
    from groundtune.project.spend_report import SpendReport
    from groundtune.protocols import (
        Approach,
        Embedder,
        Generator,
        IndexStorage,
        Reranker,
        Source,
        StreamingApproach,
        SupportChecker,
        TrainingKind,
    )
    from groundtune.retrieve.stores.local_index import LocalIndex
    from groundtune.review.queue import QueueItem, Vote
    from groundtune.review.served_answer import ServedAnswer
    from groundtune.stats.agreement import Agreement
    from groundtune.stats.risk_coverage import OperatingPoint
    from groundtune.stats.unlabelled import UnlabelledAccuracy
    from groundtune.text_box import TextBox
    from groundtune.tune.job import Bounds, Job, TrainingResult, TrainingRow, TrainingStep, TuneError
    from groundtune.tune.lora.serving_check import ServingCheck
    from groundtune.tune.preflight.findings import PreflightFinding
    from groundtune.tune.preflight.run import PreflightReport
    from groundtune.types import (
        Answer,
        ApproachSummary,
        Artifact,
        Citation,
        CitationChecked,
        Difference,
        Document,
        Done,
        Evidence,
        EvidenceUse,
        Example,
        Failure,
        FileRow,
        Generation,
        Grounding,
        Hit,
        Hits,
        Interval,
        Message,
        Passage,
        Prompt,
        Question,
        Reset,
        Result,
        Retrieved,
        Sampling,
        Scope,
        SourceChanges,
        SourceItem,
        TextDelta,
        Trace,
        Usage,
        Verdict,
    )
    from groundtune.workflows.abstention_threshold import Calibration, Uncalibrated
    from groundtune.workflows.adopting import Adoption
    from groundtune.workflows.checking_servers import Server
    from groundtune.workflows.choosing import Choice
    from groundtune.workflows.comparing import CompareProgress
    from groundtune.workflows.distilling import DistillationReport
    from groundtune.workflows.drafting import DraftReport
    from groundtune.workflows.estimating import Estimate
    from groundtune.workflows.evaluating import ParserTrial, WeightFit
    from groundtune.workflows.forgetting import ForgetReport
    from groundtune.workflows.judging import JudgeAgreement
    from groundtune.workflows.learning_curve import PlannedTraining
    from groundtune.workflows.live_report import LiveComparison, LiveDifference, LiveReport
    from groundtune.workflows.promoting import PromotionReport
    from groundtune.workflows.reporting import Report
    from groundtune.workflows.reviewing_answers import ReviewItem, ReviewList, ReviewOutcome
    from groundtune.workflows.sweep_report import SweepReport
    from groundtune.workflows.verifying import Verification

_MODULES = {
    "build.approach_parts": "ApproachParts",
    "config.tune_tables": "TrainingConfig",
    "corpus.contradictions": "Contradiction",
    "corpus.dates": "StaleDate",
    "corpus.gaps": "GapsReport OpenQuestion Topic",
    "corpus.report": "DocumentsReport",
    "corpus.sizes": "OddSize",
    "corpus.unused": "UnusedFile",
    "corpus.versions": "VersionPair",
    "decide.diagnosis": "Diagnosis Remedy",
    "decide.routing": "CostQualityPoint Routing",
    "drift.advice": "DriftAction ToLabel",
    "drift.canary": "CanaryCheck",
    "drift.report": "DriftReport",
    "drift.signals": "DriftSignal",
    "errors": (
        "AccessError BudgetError BusyError ConfigError FormatError GroundtuneError IndexMismatchError "
        "JudgeError MissingError ParseError Problem ProviderError QuestionError UsageError"
    ),
    "extensions": "Extensions",
    "ingest.parsed": "ParsedDocument TextBuilder",
    "ingest.sync": "FileReport SyncProgress SyncReport",
    "measure.retrieval_quality": "Miss RetrievalReport StageReport",
    "note": "Note",
    "project": "Project",
    "project.replaying": "Replay",
    "project.ship_check": "ShipItem ShipReport",
    "project.spend_report": "SpendReport",
    "protocols": (
        "Approach Embedder Generator IndexStorage Reranker Source StreamingApproach SupportChecker TrainingKind"
    ),
    "retrieve.stores.local_index": "LocalIndex",
    "review.queue": "QueueItem Vote",
    "review.served_answer": "ServedAnswer",
    "stats.agreement": "Agreement",
    "stats.risk_coverage": "OperatingPoint",
    "stats.unlabelled": "UnlabelledAccuracy",
    "text_box": "TextBox",
    "tune.job": "Bounds Job TrainingResult TrainingRow TrainingStep TuneError",
    "tune.lora.serving_check": "ServingCheck",
    "tune.preflight.findings": "PreflightFinding",
    "tune.preflight.run": "PreflightReport",
    "types": (
        "Answer ApproachSummary Artifact Citation CitationChecked Difference Document Done Evidence EvidenceUse "
        "Example Failure FileRow Generation Grounding Hit Hits Interval Message Passage Prompt Question Reset Result "
        "Retrieved Sampling Scope SourceChanges SourceItem TextDelta Trace Usage Verdict"
    ),
    "workflows.abstention_threshold": "Calibration Uncalibrated",
    "workflows.adopting": "Adoption",
    "workflows.checking_servers": "Server",
    "workflows.choosing": "Choice",
    "workflows.comparing": "CompareProgress",
    "workflows.distilling": "DistillationReport",
    "workflows.drafting": "DraftReport",
    "workflows.estimating": "Estimate",
    "workflows.evaluating": "ParserTrial WeightFit",
    "workflows.forgetting": "ForgetReport",
    "workflows.judging": "JudgeAgreement",
    "workflows.learning_curve": "PlannedTraining",
    "workflows.live_report": "LiveComparison LiveDifference LiveReport",
    "workflows.promoting": "PromotionReport",
    "workflows.reporting": "Report",
    "workflows.reviewing_answers": "ReviewItem ReviewList ReviewOutcome",
    "workflows.sweep_report": "SweepReport",
    "workflows.verifying": "Verification",
}
"""Names by the module that defines them; a name is imported on first use."""
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "AccessError",
    "Adoption",
    "Agreement",
    "Answer",
    "Approach",
    "ApproachParts",
    "ApproachSummary",
    "Artifact",
    "Bounds",
    "BudgetError",
    "BusyError",
    "Calibration",
    "CanaryCheck",
    "Choice",
    "Citation",
    "CitationChecked",
    "CompareProgress",
    "ConfigError",
    "Contradiction",
    "CostQualityPoint",
    "Diagnosis",
    "Difference",
    "DistillationReport",
    "Document",
    "DocumentsReport",
    "Done",
    "DraftReport",
    "DriftAction",
    "DriftReport",
    "DriftSignal",
    "Embedder",
    "Estimate",
    "Evidence",
    "EvidenceUse",
    "Example",
    "Extensions",
    "Failure",
    "FileReport",
    "FileRow",
    "ForgetReport",
    "FormatError",
    "GapsReport",
    "Generation",
    "Generator",
    "Grounding",
    "GroundtuneError",
    "Hit",
    "Hits",
    "IndexMismatchError",
    "IndexStorage",
    "Interval",
    "Job",
    "JudgeAgreement",
    "JudgeError",
    "LiveComparison",
    "LiveDifference",
    "LiveReport",
    "LocalIndex",
    "Message",
    "Miss",
    "MissingError",
    "Note",
    "OddSize",
    "OpenQuestion",
    "OperatingPoint",
    "ParseError",
    "ParsedDocument",
    "ParserTrial",
    "Passage",
    "PlannedTraining",
    "PreflightFinding",
    "PreflightReport",
    "Problem",
    "Project",
    "PromotionReport",
    "Prompt",
    "ProviderError",
    "Question",
    "QuestionError",
    "QueueItem",
    "Remedy",
    "Replay",
    "Report",
    "Reranker",
    "Reset",
    "Result",
    "RetrievalReport",
    "Retrieved",
    "ReviewItem",
    "ReviewList",
    "ReviewOutcome",
    "Routing",
    "Sampling",
    "Scope",
    "ServedAnswer",
    "Server",
    "ServingCheck",
    "ShipItem",
    "ShipReport",
    "Source",
    "SourceChanges",
    "SourceItem",
    "SpendReport",
    "StageReport",
    "StaleDate",
    "StreamingApproach",
    "SupportChecker",
    "SweepReport",
    "SyncProgress",
    "SyncReport",
    "TextBox",
    "TextBuilder",
    "TextDelta",
    "ToLabel",
    "Topic",
    "Trace",
    "TrainingConfig",
    "TrainingKind",
    "TrainingResult",
    "TrainingRow",
    "TrainingStep",
    "TuneError",
    "Uncalibrated",
    "UnlabelledAccuracy",
    "UnusedFile",
    "Usage",
    "UsageError",
    "Verdict",
    "Verification",
    "VersionPair",
    "Vote",
    "WeightFit",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `groundtune --help` starts fast."""
    if name not in _HOME:
        raise AttributeError(f"module 'groundtune' has no attribute {name!r}")
    return getattr(import_module(f"groundtune.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, also those that are not imported yet."""
    return sorted({*globals(), *__all__})
