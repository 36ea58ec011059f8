"""The SQL of a run's store; every row that it reads says whether its checksum matches."""

# ruff: noqa: S608  # put together from our own names alone

from __future__ import annotations

from multiplex.bench.store.checksums import digest, insertion, matches, sound

ADD = insertion("units") + " ON CONFLICT (id) DO NOTHING"
KEEP = insertion("meta", "OR IGNORE")
SECRETS = "SELECT substr(key, 8), value FROM meta WHERE key LIKE 'secret %'"
"""By unit, as `joining` has written them."""
ERROR = insertion("errors")
SCORE = insertion("measures", "OR REPLACE")
SCORING = f"""{insertion("scorings")} ON CONFLICT (key) DO UPDATE SET description = excluded.description,
    checksum = excluded.checksum, number = (SELECT max(number) + 1 FROM scorings)"""
SCORINGS = f"SELECT key, description FROM scorings WHERE {sound('scorings')} ORDER BY number"
SPENT = f"""WITH whole AS MATERIALIZED (SELECT id, model, number FROM units WHERE {sound("units", "unit_checksum")})
    SELECT whole.model, sum(calls),
    CASE WHEN count(*) = count(input_tokens) THEN sum(input_tokens) END,
    CASE WHEN count(*) = count(output_tokens) THEN sum(output_tokens) END
    FROM calls JOIN whole ON whole.id = calls.unit WHERE (calls.kind IS NULL OR coalesce(calls.calls, 0) > 0)
    AND {sound("calls")}
    GROUP BY whole.model ORDER BY min(whole.number)"""
CALLS = f"""SELECT {matches("calls")}, request, seconds, attempts, coalesce(calls, 0), input_tokens, output_tokens,
    kind, message FROM calls WHERE unit = ? ORDER BY number"""
ERRORS = f"SELECT {matches('errors')}, at, kind, message FROM errors WHERE unit = ? ORDER BY number"
ANSWER = f"SELECT {matches('units', 'outcome_checksum')}, answer FROM units WHERE id = ?"
PAGE = "WHERE units.number > ? ORDER BY units.number LIMIT ?"
UNITS = f"SELECT number, {matches('units', 'unit_checksum')}, unit FROM units {PAGE}"
UNSCORED = f"""SELECT number, {matches("units", "unit_checksum")}, unit, {matches("units", "outcome_checksum")}, answer
    FROM units WHERE state = 'done' AND NOT EXISTS
        (SELECT 1 FROM measures WHERE measures.unit = units.id AND scoring = ? AND {sound("measures")})
    AND number > ? ORDER BY number LIMIT ?"""
RECORDS = f"""SELECT units.number, {matches("units", "unit_checksum")}, units.unit,
    {matches("units", "outcome_checksum")}, units.state, units.answer, {matches("measures")}, measures.score,
    {matches("errors")}, errors.kind, errors.message FROM units
    LEFT JOIN measures ON measures.unit = units.id AND measures.scoring = ?
    LEFT JOIN errors ON units.state = 'failed'
        AND errors.number = (SELECT max(last.number) FROM errors AS last WHERE last.unit = units.id) """
SETTLE = f"""UPDATE units SET state = :state, answer = :answer,
    outcome_checksum = {digest(("id", ":state", ":answer"))} WHERE id = :id AND state <> 'done'"""
RETRY = f"""UPDATE units SET state = 'pending', answer = NULL,
    outcome_checksum = {digest(("id", "'pending'", "NULL"))} WHERE state = 'failed'"""
