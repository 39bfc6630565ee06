"""Facts and verdicts as the types of the document, field by field. No judgement is made here."""
