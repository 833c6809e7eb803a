"""A page that runs the student of a run beside its teacher in the browser."""
