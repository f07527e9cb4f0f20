"""One file per verb: a project in, the outcome of the verb out."""
