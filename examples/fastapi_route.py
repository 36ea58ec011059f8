"""A route of one's own that asks a council and measures its answer.

    pip install fastapi uvicorn && uvicorn examples.fastapi_route:app

MULTIPLEX_MODEL and MULTIPLEX_BASE_URL name the model; without them it is the embedded one.
"""

from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from multiplex import Council, MultiplexError, UsageError, aanswer

app = FastAPI(title="A council of three")
COUNCIL = Council.load("african", "east_asian", "western")


class Question(BaseModel):
    question: str


@app.post("/answers")
async def answer(asked: Question) -> dict[str, Any]:
    """The council's answer, whose voice was lost on the way, and how the answer spreads over the perspectives."""
    try:
        result = await aanswer(asked.question, strategies=["multiplex"], council=COUNCIL)
    except UsageError as error:
        raise HTTPException(422, str(error)) from error
    except MultiplexError as error:
        raise HTTPException(502, str(error)) from error
    measures = result.answers["multiplex"].measures
    return {
        "answer": result["multiplex"].text,
        "lost": [voice.perspective for voice in result["multiplex"].voices if voice.error is not None],
        "measures": measures.summary() if measures is not None else None,
    }
