"""Results for people and programs: the terminal, report.json, report.html, junit.xml."""

from ramda_verify.report.files import NAMES, write_report
from ramda_verify.report.summary import machine_and_versions
from ramda_verify.report.terminal import show_results, watch
from ramda_verify.report.verdict import show_verdict

__all__ = ["NAMES", "machine_and_versions", "show_results", "show_verdict", "watch", "write_report"]
