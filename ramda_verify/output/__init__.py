"""Results for people and programs, the terminal, report.json, report.html, junit.xml; files, folders, the machine."""
