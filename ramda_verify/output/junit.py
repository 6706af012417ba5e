"""junit.xml, as continuous integration reads it: a test case for each check of each target."""

from collections.abc import Sequence
from xml.etree import ElementTree

from ramda_verify.engine.record import CheckResult, Verdict

#: The element that a verdict is in JUnit's vocabulary, which has none for a pass.
ELEMENTS = {Verdict.FAIL: "failure", Verdict.SKIP: "skipped", Verdict.INCONCLUSIVE: "error"}
#: Characters that XML has not: control characters, as an exception's message may hold them.
FORBIDDEN = {code: "?" for code in range(32) if chr(code) not in "\t\n\r"} | {0xFFFE: "?", 0xFFFF: "?"}


def junit(results: Sequence[CheckResult], *, seed: int) -> str:
    """The document: a suite for each target, in the order of the results; an undecided check is an error."""
    root = ElementTree.Element("testsuites", {"name": "ramda-verify", **_counts(results)})
    for target in dict.fromkeys(result.target for result in results):
        mine = [result for result in results if result.target == target]
        suite = ElementTree.SubElement(root, "testsuite", {"name": _plain(target), **_counts(mine)})
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="seed", value=str(seed))
        for result in mine:
            _add(suite, result)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: ElementTree.Element, result: CheckResult) -> None:
    place = {"classname": _plain(result.target), "name": result.check, "time": f"{result.seconds:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", place)
    element = ELEMENTS.get(result.status)
    if element is not None:
        said = ElementTree.SubElement(case, element, message=_plain(result.detail))
        if result.counterexample is not None:
            said.text = _plain(result.counterexample.snippet)


def _counts(results: Sequence[CheckResult]) -> dict[str, str]:
    def count(verdict: Verdict) -> str:
        return str(sum(result.status is verdict for result in results))

    return {
        "tests": str(len(results)),
        "failures": count(Verdict.FAIL),
        "errors": count(Verdict.INCONCLUSIVE),
        "skipped": count(Verdict.SKIP),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }


def _plain(text: str) -> str:
    """The text without characters that XML, or UTF-8, has not."""
    return text.translate(FORBIDDEN).encode("utf-8", "replace").decode("utf-8")
