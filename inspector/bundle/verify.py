"""Whether a bundle is what was written, and whether its packets alone still give its findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inspector.bundle.manifest import Manifest, digest, load
from inspector.bundle.slices import Signature, signature
from inspector.errors import InspectorError
from inspector.extract.processes import add_logs, extract
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.text.hostport import parsed


@dataclass(slots=True)
class Verdict:
    """``problems``: what does not hold; empty where all does. ``findings``: how many were found again."""

    manifest: Manifest
    files: int = 0
    findings: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The result in a line."""
        m = self.manifest
        proven = (
            f"judging {m.evidence.file} again gives its {self.findings} findings"
            if m.evidence is not None
            else "there are no packets to judge again"
        )
        if self.problems:
            return f"does not hold: {len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        return (
            f"holds: {self.files} files have their hashes; {proven} ({m.generator.name} {m.generator.version},"
            f" {m.created})"
        )


def verify(directory: str) -> Verdict:
    """Raises UsageError where there is no bundle."""
    folder = Path(directory)
    manifest = load(folder)
    verdict = Verdict(manifest)
    for name, expected in manifest.files.items():
        if "/" in name or name.startswith("."):
            verdict.problems.append(f"{name}: no file of a bundle")
            continue
        hashed = digest(folder / name)
        if hashed is None:
            verdict.problems.append(f"{name} is missing")
        elif hashed != expected:
            verdict.problems.append(f"{name} was changed")
        else:
            verdict.files += 1
    if manifest.evidence is not None and manifest.evidence.file in manifest.files:
        _judge_again(folder, verdict)
    return verdict


def findings_of(packets: Path, logs: Sequence[str], options: Options) -> set[Signature]:
    """What packets and the logs beside them give when they are judged alone. Raises UnreadableError."""
    facts = extract([str(packets)])
    add_logs(facts, [str(packets.with_name(name)) for name in logs if "/" not in name])
    return {signature(f) for f in judge(facts, options).document.findings}


def _judge_again(folder: Path, verdict: Verdict) -> None:
    manifest = verdict.manifest
    proof = manifest.evidence
    assert proof is not None
    options = Options("first" if manifest.generation == "first" else "current", tuple(parsed(v) for v in manifest.vips))
    try:
        proven = findings_of(folder / proof.file, proof.logs, options)
    except InspectorError as error:
        verdict.problems.append(str(error))
        return
    for expected in proof.findings:
        if expected in proven:
            verdict.findings += 1
        else:
            verdict.problems.append(
                f"finding {expected.id} ({expected.rule}, {expected.verdict}) does not come out again"
            )
